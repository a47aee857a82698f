/**
 * The pages the proxy answers by itself. One file of HTML, nothing loaded from anywhere, no script; everything that came
 * from a client is escaped. They appear under the name that was asked for, so they must never be cached.
 */
export interface Page {
  readonly status: number;
  readonly title: string;
  readonly text: string;
}

/** The body, and the header fields that describe it as a flat list. */
export function renderPage(page: Page): { readonly fields: string[]; readonly body: Buffer } {
  const title = escapeHtml(page.title);
  const body = Buffer.from(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 38rem; margin: 12vh auto; padding: 0 1rem; }
p { overflow-wrap: anywhere; }
footer { margin-top: 2rem; opacity: 0.7; font-size: 0.875rem; }
</style>
</head>
<body>
<h1>${title}</h1>
<p>${escapeHtml(page.text)}</p>
<footer>${page.status} from the Mariana proxy on this computer, not from a web site</footer>
</body>
</html>
`);
  const fields = [
    ["Content-Type", "text/html; charset=utf-8"],
    ["Content-Length", String(body.length)],
    ["Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"],
    ["X-Content-Type-Options", "nosniff"],
    ["Referrer-Policy", "no-referrer"],
    ["Cache-Control", "no-store"],
  ];
  return { fields: fields.flat(), body };
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}
