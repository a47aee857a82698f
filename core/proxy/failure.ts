import { EndCode } from "../wire/cell.js";

/**
 * A stream that could not be opened, or ended before an answer came, in words for the person at the browser. The codes are
 * those of RESET, and a few that say how far this node itself got.
 */
export interface Failure {
  /** 502: somebody answered, and said no. 503: try again. 504: nobody answered in time. */
  readonly status: 502 | 503 | 504;
  readonly title: string;
  readonly text: string;
}

/** The stack's own codes, above the wire's (stack/ports.ts LocalCode). */
const UNREACHABLE = 8;
const NO_KEY = 9;
const HANDSHAKE_FAILED = 10;

const AGAIN = "Try again in a moment.";

/** `code` is any number; one of a newer version gets the general text. `port` is the overlay port that was asked for. */
export function describeFailure(code: number, port: number): Failure {
  switch (code) {
    case EndCode.refused:
      return bad(
        "Nothing is hosted there",
        `The node was reached, but it hosts nothing on port ${port}. Check the port, or ask its owner.`,
      );
    case EndCode.targetDown:
      return bad(
        "The server behind the node is down",
        "The node was reached, but the web server it hosts does not answer. If it is yours, start the server that `hosts` in config.json points to.",
      );
    case EndCode.cancelled:
      return bad("The node broke off", `The node ended the connection before it answered. ${AGAIN}`);
    case EndCode.timeout:
      return late("The node did not answer in time", `It was reachable, then fell silent. ${AGAIN}`);
    case EndCode.overload:
      return {
        status: 503,
        title: "The node is busy",
        text: `It has as many connections as it can serve. ${AGAIN}`,
      };
    case EndCode.sessionLost:
      return bad(
        "The connection to the node was lost",
        `It went away before it answered: a restart, or a broken path. ${AGAIN}`,
      );
    case UNREACHABLE:
      return late(
        "No route to this NAC",
        "No way to this node was found within 10 seconds. It may be offline, the NAC may be mistyped, or this daemon may not be connected yet: `mariana status` tells.",
      );
    case NO_KEY:
      return late(
        "The node's key could not be fetched",
        `A route exists, but nobody on it had the key that belongs to this name. ${AGAIN}`,
      );
    case HANDSHAKE_FAILED:
      return late(
        "The node did not complete the handshake",
        `A route exists and the key is right, but no encrypted session came about. ${AGAIN}`,
      );
    default:
      return bad("The connection to the node failed", `It ended with code ${code} before an answer came. ${AGAIN}`);
  }
}

/** What was wrong with an answer; counted by these names. */
export const ANSWER_FAULTS = [
  "answerMalformed",
  "answerHeaders",
  "answerFraming",
  "answerTooLarge",
  "answerInterim",
  "answerUpgrade",
  "answerEmpty",
  "answerTimeout",
] as const;

export type AnswerFault = (typeof ANSWER_FAULTS)[number];

/** What came back is not HTTP as it should be, or nothing came back at all. */
export function describeBadAnswer(fault: AnswerFault, port: number): Failure {
  if (fault === "answerTimeout") {
    return late(
      "The server did not answer in time",
      "The node was reached and took the request, but its web server has not begun to answer for minutes. If it is yours, look whether it hangs.",
    );
  }
  return bad(
    "The server's answer makes no sense",
    `The node was reached, but what answers on port ${port} ${COMPLAINTS[fault]}. For other protocols use CONNECT.`,
  );
}

const COMPLAINTS: Record<Exclude<AnswerFault, "answerTimeout">, string> = {
  answerMalformed: "does not speak HTTP",
  answerHeaders: "sent header fields that HTTP does not allow",
  answerFraming: "stated the length of its answer in a way that can be read as two",
  answerTooLarge: "sent a head of more than 64 KiB",
  answerInterim: "went on announcing an answer without giving one",
  answerUpgrade: "changed to a protocol that nobody asked for",
  answerEmpty: "closed the connection without an HTTP answer",
};

function bad(title: string, text: string): Failure {
  return { status: 502, title, text };
}

function late(title: string, text: string): Failure {
  return { status: 504, title, text };
}
