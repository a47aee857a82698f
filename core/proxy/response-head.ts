/**
 * The part of an answer's head that goes back to the client. How the body is framed is the shell's business on each side,
 * so Transfer-Encoding goes with the other hop-by-hop fields.
 */
import type { AnswerFault } from "./failure.js";
import { areFieldsValid, endToEndFields, type HeaderFields, listOf, valuesOf } from "./header-fields.js";

export interface AnswerHead {
  readonly status: number;
  readonly headers: HeaderFields;
  /** Of the request that is answered. */
  readonly method: string;
}

export interface Answer {
  readonly kind: "answer";
  readonly fields: string[];
  /** Whatever its fields say, the answer to a HEAD, 204 and 304 have none (RFC 9110 sections 9.3.2 and 15). */
  readonly hasBody: boolean;
  /** What Trailer announces, if trailers may follow. */
  readonly trailer?: string;
}

const LENGTH_PATTERN = /^[0-9]{1,15}$/;
const STATUS_MIN = 200;
const STATUS_MAX = 599;

/** The server's bytes are a stranger's: what could be read in two ways is not passed on. */
export function decideAnswer(head: AnswerHead): Answer | AnswerFault {
  const { status, headers, method } = head;
  if (!areFieldsValid(headers)) return "answerHeaders";
  if (status < STATUS_MIN || status > STATUS_MAX) return "answerMalformed";
  const lengths = valuesOf(headers, "content-length");
  const codings = valuesOf(headers, "transfer-encoding");
  if (lengths.length + codings.length > 1) return "answerFraming";
  if (lengths.length === 1 && !LENGTH_PATTERN.test(lengths[0]!)) return "answerFraming";
  if (codings.length === 1 && codings[0]!.trim().toLowerCase() !== "chunked") return "answerFraming";
  const hasBody = method !== "HEAD" && status !== 204 && status !== 304;
  const fields = endToEndFields(headers, status === 204 ? ["content-length"] : []);
  const announced = hasBody && codings.length === 1 ? listOf(headers, "trailer").join(", ") : "";
  return { kind: "answer", fields, hasBody, ...(announced !== "" && { trailer: announced }) };
}

/** The fields of an answer by which the server changes the protocol, or undefined when it does not do so properly. */
export function decideSwitch(headers: HeaderFields): string[] | undefined {
  if (!areFieldsValid(headers)) return undefined;
  const upgrade = valuesOf(headers, "upgrade");
  if (upgrade.length !== 1 || !listOf(headers, "connection").includes("upgrade")) return undefined;
  return ["Connection", "Upgrade", "Upgrade", upgrade[0]!, ...endToEndFields(headers, ["content-length"])];
}
