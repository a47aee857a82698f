/** The demo's own web site: one page, one picture, served by node:http on a port that only the host daemon is told. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export const SITE_TITLE = "Mariana's Qubit";

/** Starts the site on a free port of 127.0.0.1. */
export function startSite(): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => {
    const answer = request.url === "/depth.svg" ? { type: "image/svg+xml", body: PICTURE } : pageFor(request.url);
    if (answer === undefined) {
      response.writeHead(404, { "content-type": "text/plain; charset=utf-8" }).end("Nothing at this depth.\n");
      return;
    }
    response.writeHead(200, { "content-type": answer.type, "content-length": Buffer.byteLength(answer.body) });
    response.end(request.method === "HEAD" ? undefined : answer.body);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve({ server, port: (server.address() as AddressInfo).port }));
  });
}

function pageFor(url: string | undefined): { type: string; body: string } | undefined {
  return url === "/" ? { type: "text/html; charset=utf-8", body: PAGE } : undefined;
}

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${SITE_TITLE}</title>
<style>
  :root { color-scheme: dark }
  * { box-sizing: border-box }
  body { margin: 0; min-height: 100vh; font: 18px/1.6 Georgia, "Times New Roman", serif; color: #cfe3ee;
    background: linear-gradient(#0e5a7d 0, #0a3a57 22%, #061f35 55%, #020812 100%) }
  main { max-width: 38rem; margin: 0 auto; padding: 14vh 1.5rem 10vh }
  h1 { margin: 0 0 .2em; font-weight: 400; font-size: clamp(2.4rem, 8vw, 4rem); letter-spacing: -.02em; color: #fff }
  .lead { margin: 0 0 3rem; font-size: 1.25rem; color: #9cc7da }
  img { display: block; width: 100%; height: auto; margin: 0 0 3rem }
  code { font: .82em/1 ui-monospace, Menlo, Consolas, monospace; color: #7fe3c8; overflow-wrap: anywhere }
  footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid #ffffff1f; font-size: .85rem; color: #6f93a6 }
</style>
</head>
<body>
<main>
<h1>${SITE_TITLE}</h1>
<p class="lead">You reached this page by a name, not by an address.</p>
<img src="/depth.svg" width="640" height="170" alt="A client, three relays and a host in a row, deep under water">
<p>Your browser asked for <code id="name">a NAC</code>. Its proxy, the first of five daemons, found the way there hop by hop:
each relay knew only where to pass the packet next. The keys come from ML-KEM-512 and X25519 together, every packet
is sealed with AES-256-GCM from end to end, and sealed once more on each link.</p>
<p>What it does not do yet: hide from the relays who talks to whom. That takes circuits, and they are not built.</p>
<footer>Served by one small process behind the last daemon. It never saw where you are.</footer>
</main>
<script>document.getElementById("name").textContent = location.hostname;</script>
</body>
</html>
`;

const PICTURE = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 170" font-family="Georgia, serif" font-size="13" text-anchor="middle">
<path d="M40 30 C110 30 120 90 180 90 S250 130 320 130 S390 90 460 90 S530 30 600 30" fill="none" stroke="#7fe3c8" stroke-opacity=".55" stroke-width="1.5"/>
<circle r="3" fill="#fff"><animateMotion dur="4s" repeatCount="indefinite" path="M40 30 C110 30 120 90 180 90 S250 130 320 130 S390 90 460 90 S530 30 600 30"/></circle>
<g fill="#0a3a57" stroke="#7fe3c8" stroke-width="1.5"><circle cx="40" cy="30" r="9"/><circle cx="180" cy="90" r="7"/><circle cx="320" cy="130" r="7"/><circle cx="460" cy="90" r="7"/><circle cx="600" cy="30" r="9"/></g>
<g fill="#9cc7da"><text x="40" y="60">client</text><text x="180" y="117">relay</text><text x="320" y="157">relay</text><text x="460" y="117">relay</text><text x="600" y="60">host</text></g>
</svg>
`;
