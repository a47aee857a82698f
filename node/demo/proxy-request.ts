/** A request as a browser makes it of an HTTP proxy: absolute form, one plain connection to the proxy. */
import { type Agent, type ClientRequest, type IncomingHttpHeaders, request } from "node:http";

export interface ProxyAddress {
  readonly host: string;
  readonly port: number;
}

export interface ProxyRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly agent?: Agent;
  readonly timeoutMs?: number;
}

export interface ProxyAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** From the request's start to the first byte of the answer's head. */
  readonly firstByteMs: number;
  readonly totalMs: number;
}

/** Fetches `url` through the proxy and reads the whole answer. Rejects on a broken connection or a timeout. */
export function fetchThrough(proxy: ProxyAddress, url: string, options: ProxyRequest = {}): Promise<ProxyAnswer> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const outgoing = openThrough(proxy, url, options);
    outgoing.once("response", (answer) => {
      const firstByteMs = performance.now() - startedAt;
      const parts: Buffer[] = [];
      answer.on("data", (part: Buffer) => parts.push(part));
      answer.once("error", reject);
      answer.once("end", () =>
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          body: Buffer.concat(parts),
          firstByteMs,
          totalMs: performance.now() - startedAt,
        }),
      );
    });
    outgoing.once("error", reject);
    outgoing.end();
  });
}

/** The request alone, for a caller who streams. */
export function openThrough(proxy: ProxyAddress, url: string, options: ProxyRequest = {}): ClientRequest {
  const { method = "GET", headers = {}, timeoutMs = 60_000, agent } = options;
  const outgoing = request({
    host: proxy.host,
    port: proxy.port,
    method,
    path: url,
    headers: { host: new URL(url).host, ...headers },
    timeout: timeoutMs,
    ...(agent === undefined ? {} : { agent }),
  });
  outgoing.once("timeout", () => outgoing.destroy(new Error(`nothing heard from the proxy for ${timeoutMs} ms`)));
  return outgoing;
}
