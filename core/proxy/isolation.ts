/**
 * Isolation tags: what an application says to keep its streams apart from those of others. It is written as the user and
 * password of a proxy, which every client can give; nothing is checked, and nothing of it ever leaves this node.
 */

const BASE64_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/** Longer than any pair that SOCKS could carry (2 * 255 bytes in base64). */
export const CREDENTIALS_MAX = 1024;

/** Distinct pairs give distinct tags, whatever characters they hold. SOCKS and HTTP give the same tag for the same pair. */
export function tagOf(user: string, password: string): string {
  return `${user.length}:${user}${password}`;
}

/**
 * The tag of a Proxy-Authorization. One that is not Basic, or not base64, is a tag as it stands: somebody who says
 * something else wants to be kept apart all the same.
 */
export function tagOfCredentials(value: string): string {
  const pair = /^basic +([A-Za-z0-9+/]*)={0,2}$/i.exec(value.trim());
  const text = pair === null ? undefined : fromBase64(pair[1]!);
  if (text === undefined) return `?${value.trim()}`;
  const colon = text.indexOf(":");
  return colon < 0 ? tagOf(text, "") : tagOf(text.slice(0, colon), text.slice(colon + 1));
}

/** A character per byte. */
function fromBase64(digits: string): string | undefined {
  if (digits.length % 4 === 1) return undefined;
  let out = "";
  let pending = 0;
  let bits = 0;
  for (const digit of digits) {
    pending = (pending << 6) | BASE64_DIGITS.indexOf(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += String.fromCharCode(pending >> bits);
    pending &= (1 << bits) - 1;
  }
  return out;
}
