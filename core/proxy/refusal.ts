/**
 * What the proxy answers by itself, in words a person can act on. Every text says what was asked, why it was not done,
 * and what to do instead. Plain text: the shell makes a page of it and escapes it.
 */
export interface Refusal {
  readonly kind: "refuse";
  readonly status: number;
  /** Stable name, counted and logged; names no host and no NAC. */
  readonly reason: RefusalReason;
  readonly title: string;
  readonly text: string;
}

/** The order is that of the manual. */
export const REFUSAL_REASONS = [
  "originForm",
  "foreignHost",
  "notMariana",
  "badName",
  "badTarget",
  "scheme",
  "noHost",
  "hostMismatch",
  "badHeaders",
  "tooManyFields",
  "headTooLarge",
  "headTooSlow",
  "framing",
  "transferCoding",
  "chunking",
  "expectation",
  "upgradeBody",
  "method",
  "malformed",
] as const;

export type RefusalReason = (typeof REFUSAL_REASONS)[number];

const SHOWN_CHARACTERS_MAX = 100;
const EXAMPLE_NAC = "6ba7b810-9dad-81d1-80b4-00c04fd430c8";

export function refuse(status: number, reason: RefusalReason, title: string, text: string): Refusal {
  return { kind: "refuse", status, reason, title, text };
}

export function refuseNotMariana(host: string): Refusal {
  return refuse(
    403,
    "notMariana",
    "Not a Mariana address",
    `This proxy reaches only names that end in .mariana. "${shown(host)}" is not one, so nothing was looked up and nothing was sent. ` +
      "To visit the ordinary web, use a browser profile without this proxy.",
  );
}

export function refuseBadName(host: string): Refusal {
  return refuse(
    400,
    "badName",
    "This is not a valid NAC",
    `"${shown(host)}" ends in .mariana, but what stands before it is not a NAC. A NAC looks like ${EXAMPLE_NAC}.mariana ` +
      "(32 hexadecimal digits in five groups, the third beginning with 8) or is the long name of 52 letters and digits. " +
      "There are no subdomains. Check for a missing or mistyped character.",
  );
}

export function refuseHeaders(text: string): Refusal {
  return refuse(400, "badHeaders", "The request is malformed", text);
}

export function refuseMalformed(text: string): Refusal {
  return refuse(400, "malformed", "The request is malformed", text);
}

export function refuseFraming(text: string): Refusal {
  return refuse(
    400,
    "framing",
    "The request has no clear end",
    `${text} Such requests are used to smuggle a second one past a proxy, so it was not sent.`,
  );
}

export function refuseExpectation(expectation: string): Refusal {
  return refuse(
    417,
    "expectation",
    "This expectation cannot be met",
    `The request expects "${shown(expectation)}". Only "100-continue" is known.`,
  );
}

/**
 * May the connection be used again? Where a request was clear and only its goal was not ours, yes: browsers ask for such
 * things all day. Where its end or its meaning is in doubt, what follows could be a second one hidden in the first.
 */
export function keepsConnection(refusal: Refusal): boolean {
  return refusal.status === 403 || refusal.status === 421;
}

/** At most a hundred characters of what a client sent. */
export function shown(text: string): string {
  return text.length <= SHOWN_CHARACTERS_MAX ? text : `${text.slice(0, SHOWN_CHARACTERS_MAX)}...`;
}
