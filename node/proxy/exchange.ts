/**
 * One request and its answer, on their way through the overlay.
 *
 *   client --req--> upstream --stream--> server
 *   client <--res--  answer  <--stream-- server
 *
 * Bodies are piped in both directions with constant memory; each piece goes on as it comes. What the server sends is a
 * stranger's: interim answers are counted, heads are looked at, and one that can be read in two ways is not passed on.
 */
import { ClientRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { type AnswerFault, describeBadAnswer, describeFailure, type Failure } from "../../core/proxy/failure.js";
import { forwardedTrailers } from "../../core/proxy/header-fields.js";
import type { Forward } from "../../core/proxy/request-decision.js";
import { decideAnswer, decideSwitch } from "../../core/proxy/response-head.js";
import { StreamError } from "../stream-error.js";
import { breakStream } from "../tunnel.js";
import { answerPage, endUpload, headOf, reasonPhrase } from "./answers.js";
import type { StreamAgent } from "./stream-agent.js";

export const HEAD_BYTES_MAX = 64 * 1024;
/** Interim answers (1xx) to one request. Honest servers send one or two. */
const INTERIM_MAX = 16;

/** Repeating one of these does no harm (RFC 9110 section 9.2.2); they carry no body here. */
const REPEATABLE = ["GET", "HEAD", "OPTIONS"];

export interface ExchangeContext {
  readonly kept: StreamAgent;
  readonly single: StreamAgent;
  /** How long a server may take to begin its answer once it has the request, or to take more of it. */
  readonly answerTimeoutMs: number;
  /** A page of ours took the place of an answer. */
  readonly onFailure: (failure: Failure, fault: AnswerFault | undefined) => void;
  /** The server changes the protocol: from now on the client's connection and the stream are a tunnel. */
  readonly onSwitch: (head: Buffer, stream: Duplex, early: Buffer) => void;
}

/**
 * A request that has a body only when its fields say so. node would announce a chunked one for PROPFIND and all other
 * methods that may have a body.
 */
class PlainRequest extends ClientRequest {}
Object.defineProperty(PlainRequest.prototype, "useChunkedEncodingByDefault", {
  get: () => false,
  set: () => undefined,
});

export class Exchange {
  private readonly req: IncomingMessage;
  private readonly res: ServerResponse;
  private readonly target: Forward;
  private readonly context: ExchangeContext;
  private upstream: ClientRequest | undefined;
  private isAnswered = false;
  private hasContinued = false;
  private interims = 0;
  private uploadedBytes = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(req: IncomingMessage, res: ServerResponse, target: Forward, context: ExchangeContext) {
    this.req = req;
    this.res = res;
    this.target = target;
    this.context = context;
  }

  start(): void {
    const { req, res, target, context } = this;
    res.once("close", () => this.abandon());
    req.once("error", () => this.abandon());
    // A kept connection may close just as a request goes out; what may not be repeated never takes that risk.
    const isRepeatable =
      target.body === "none" && target.upgrade === undefined && REPEATABLE.includes(req.method ?? "");
    this.send(isRepeatable ? context.kept : context.single);
  }

  /** The client is gone, or what it sends is no request: the server must not take the part for the whole. */
  abandon(): void {
    clearTimeout(this.timer);
    const { upstream } = this;
    this.upstream = undefined; // what it still says is of no interest
    upstream?.destroy();
  }

  private send(agent: StreamAgent): void {
    const { req, res, target, context } = this;
    const upstream = new PlainRequest({
      ...agent.argsFor(target),
      method: req.method ?? "GET",
      path: target.path,
      headers: [...target.headers, ...connectionFields(target, agent === context.kept)],
      maxHeaderSize: HEAD_BYTES_MAX,
      insecureHTTPParser: false,
    });
    upstream.maxHeadersCount = 0; // bounded by bytes; node would drop the rest in silence
    this.upstream = upstream;
    upstream.on("error", (error: Error) => {
      if (upstream !== this.upstream) return;
      if (agent === context.kept && upstream.reusedSocket && !this.isAnswered && !res.destroyed)
        this.send(context.single);
      else this.handleError(error);
    });
    upstream.on("information", (info) => this.handleInterim(info.statusCode, info.headers.link));
    upstream.on("upgrade", (answer, stream: Duplex, early: Buffer) => this.handleSwitch(answer, stream, early));
    upstream.on("response", (answer) => this.handleAnswer(upstream, answer));
    upstream.on("finish", () => this.limitAnswer());
    this.limitAnswer();
    if (target.body === "none") upstream.end();
    else this.upload(upstream);
  }

  private upload(upstream: ClientRequest): void {
    const { req, res, target } = this;
    upstream.flushHeaders();
    req.on("data", (chunk: Buffer) => {
      this.uploadedBytes += chunk.length;
    });
    req.pipe(upstream, { end: false });
    req.once("end", () => {
      const trailers = forwardedTrailers(req.rawTrailers);
      if (trailers === undefined) {
        upstream.destroy(new Error("the request's trailers are malformed"));
        return;
      }
      if (target.body === "chunked" && trailers.length > 0) upstream.addTrailers(trailers);
      upstream.end();
    });
    upstream.once("close", () => endUpload(req, res));
  }

  /** Begins anew whenever something moves; a client that sends slowly is not the server's fault. */
  private limitAnswer(): void {
    clearTimeout(this.timer);
    const uploaded = this.uploadedBytes;
    this.timer = setTimeout(() => {
      const { upstream } = this;
      if (this.isAnswered || upstream === undefined) return;
      const isStuck = upstream.writableNeedDrain && this.uploadedBytes === uploaded;
      if (upstream.writableFinished || isStuck) this.fail("answerTimeout");
      else this.limitAnswer();
    }, this.context.answerTimeoutMs).unref();
  }

  private handleInterim(status: number, link: string | string[] | undefined): void {
    if (this.isAnswered) return;
    this.interims += 1;
    if (this.interims > INTERIM_MAX) {
      this.fail("answerInterim");
      return;
    }
    this.limitAnswer();
    if (status === 100 && this.target.expectsContinue && !this.hasContinued) {
      this.hasContinued = true;
      this.res.writeContinue();
    }
    if (status === 103 && this.req.httpVersion === "1.1") passEarlyHints(this.res, link);
  }

  private handleSwitch(answer: IncomingMessage, stream: Duplex, early: Buffer): void {
    if (this.isAnswered) {
      stream.destroy();
      return;
    }
    const fields = this.target.upgrade === undefined ? undefined : decideSwitch(answer.rawHeaders);
    if (fields === undefined) {
      stream.destroy();
      this.fail("answerUpgrade");
      return;
    }
    this.finishAnswering();
    this.upstream = undefined; // the tunnel's from here
    this.context.onSwitch(headOf(101, "Switching Protocols", fields), stream, early);
  }

  private handleAnswer(upstream: ClientRequest, answer: IncomingMessage): void {
    const { req, res, target } = this;
    if (this.isAnswered || upstream !== this.upstream) {
      answer.destroy();
      return;
    }
    const status = answer.statusCode ?? 0;
    const decision = decideAnswer({ status, headers: answer.rawHeaders, method: req.method ?? "" });
    if (typeof decision === "string") {
      this.fail(decision);
      return;
    }
    this.finishAnswering();
    answer.once("error", () => this.handleError(undefined));
    // A client that was never told to go on may leave its body out: what it sends next must not be taken for that.
    if (target.expectsContinue && !this.hasContinued && !req.complete) res.shouldKeepAlive = false;
    const fields = decision.fields;
    if (decision.trailer !== undefined && this.passesTrailers) fields.push("Trailer", decision.trailer);
    res.writeHead(status, reasonPhrase(status, answer.statusMessage), fields);
    if (!decision.hasBody) {
      answer.resume();
      res.end();
      return;
    }
    answer.pipe(res, { end: false });
    answer.once("end", () => this.endAnswer(answer));
    // A head whose body is still to come (an event stream) must not wait for it; a small answer leaves in one piece.
    setImmediate(() => {
      if (!res.writableEnded && !res.destroyed) res.flushHeaders();
    });
  }

  private endAnswer(answer: IncomingMessage): void {
    const { res } = this;
    const trailers = forwardedTrailers(answer.rawTrailers);
    if (trailers === undefined) {
      breakStream(this.req.socket);
      return;
    }
    if (this.passesTrailers && res.chunkedEncoding && trailers.length > 0) res.addTrailers(trailers);
    res.end();
  }

  private get passesTrailers(): boolean {
    return this.target.takesTrailers && this.req.httpVersion === "1.1";
  }

  private handleError(error: Error | undefined): void {
    const { req, res } = this;
    if (res.destroyed || res.writableEnded) return;
    if (this.isAnswered)
      breakStream(req.socket); // the client must not take the part for the whole
    else this.fail(error);
  }

  private fail(why: AnswerFault | Error | undefined): void {
    if (this.isAnswered) return;
    this.finishAnswering();
    const { req, res, target, upstream } = this;
    this.upstream = undefined;
    upstream?.destroy();
    const { port } = target;
    const fault = typeof why === "string" ? why : faultOf(why);
    const isOurs = why instanceof StreamError;
    const failure = isOurs ? describeFailure(why.code, port) : describeBadAnswer(fault, port);
    this.context.onFailure(failure, isOurs ? undefined : fault);
    if (!res.destroyed) answerPage(req, res, failure);
  }

  private finishAnswering(): void {
    this.isAnswered = true;
    clearTimeout(this.timer);
  }
}

/** What node's parser says, as a fault. */
function faultOf(error: Error | undefined): AnswerFault {
  const code: unknown = error === undefined ? undefined : Reflect.get(error, "code");
  if (typeof code !== "string" || !code.startsWith("HPE_") || code === "HPE_INVALID_EOF_STATE") return "answerEmpty";
  if (code === "HPE_HEADER_OVERFLOW") return "answerTooLarge";
  if (/CONTENT_LENGTH|TRANSFER_ENCODING|CHUNK/.test(code)) return "answerFraming";
  return /HEADER|CR_EXPECTED|LF_EXPECTED/.test(code) ? "answerHeaders" : "answerMalformed";
}

/** TE and Upgrade are for one hop each, so Connection names them (RFC 9110 sections 10.1.4 and 7.8). */
function connectionFields(target: Forward, isKept: boolean): string[] {
  if (target.upgrade !== undefined) return ["Connection", target.takesTrailers ? "Upgrade, TE" : "Upgrade"];
  if (target.takesTrailers) return ["Connection", isKept ? "keep-alive, TE" : "close, TE"];
  return [];
}

function passEarlyHints(res: ServerResponse, link: string | string[] | undefined): void {
  if (link === undefined || res.headersSent) return;
  try {
    res.writeEarlyHints({ link });
  } catch {
    // A Link that node does not accept is a hint lost, and nothing else.
  }
}
