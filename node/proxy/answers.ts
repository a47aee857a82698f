/** What the proxy says by itself, on a response of node:http or on a bare connection that node:http has left to us. */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type Page, renderPage } from "./pages.js";

/** How long a client may go on sending what nobody wants, so that it reads the answer before the connection ends. */
const LINGER_MS = 2_000;

export function answerPage(req: IncomingMessage, res: ServerResponse, page: Page): void {
  const { fields, body } = renderPage(page);
  res.writeHead(page.status, fields);
  res.end(req.method === "HEAD" ? undefined : body);
  endUpload(req, res);
}

/** A body that nobody reads any more: thrown away for a moment, so that the client comes to read its answer. */
export function endUpload(req: IncomingMessage, res: ServerResponse): void {
  if (req.complete || req.destroyed) return;
  req.unpipe();
  req.resume();
  const timer = setTimeout(() => {
    if (!req.complete && res.writableFinished) req.socket.destroy();
  }, LINGER_MS).unref();
  req.once("close", () => clearTimeout(timer));
}

/** Ends a bare connection with a page. */
export function endWithPage(socket: Duplex, page: Page): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { fields, body } = renderPage(page);
  const head = headOf(page.status, reasonPhrase(page.status, undefined), ["Connection", "close", ...fields]);
  socket.end(Buffer.concat([head, body]));
  linger(socket);
}

/** Reads on for a moment after our end, then lets go: closing with bytes unread would be a reset, and eat the answer. */
export function linger(socket: Duplex): void {
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once("close", () => clearTimeout(timer));
}

export function headOf(status: number, reason: string, fields: readonly string[]): Buffer {
  let head = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (let i = 0; i + 1 < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return Buffer.from(`${head}\r\n`, "latin1");
}

export function reasonPhrase(status: number, message: string | undefined): string {
  return message !== undefined && /^[\t\x20-\x7e\x80-\xff]+$/.test(message) ? message : (STATUS_CODES[status] ?? "");
}
