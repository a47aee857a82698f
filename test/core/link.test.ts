import { expect, test } from "vitest";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import { costClass } from "../../core/link/cost.js";
import { Dialer, type DialStep } from "../../core/link/dialer.js";
import { HELLO_INTERVAL_US, LINK_DEAD_US, Neighbour } from "../../core/link/neighbour.js";
import { Initiator } from "../../core/session/initiator.js";
import { MILLISECOND_US, NEVER, SECOND_US } from "../../core/time/instant.js";
import { LINK_DATAGRAM_BYTES } from "../../core/wire/control-frame.js";
import type { Hello } from "../../core/wire/hello.js";
import { randomFrom } from "../support/random.js";

const FIELDS = {
  routerId: new Uint8Array(8),
  networkTimeMs: 0,
  controlSent: 0,
  controlProcessed: 0,
  held: false,
  stub: false,
  queueDelayMs: 0,
  tableDigest: new Uint8Array(8),
  load: 0,
};
const START_US = 100 * SECOND_US;

/** Two ends of a link in virtual time. `carries` decides for each hello whether it arrives. */
class Pair {
  nowUs = START_US;
  readonly ends: readonly [Neighbour, Neighbour];
  readonly said: { readonly from: 0 | 1; readonly atUs: number; readonly hello: Hello }[] = [];
  readonly deaths: number[] = [];
  carries: (from: 0 | 1, hello: Hello) => boolean = () => true;
  delayUs: number;
  private flying: { readonly dueUs: number; readonly to: 0 | 1; readonly hello: Hello }[] = [];

  constructor(delayUs = 10 * MILLISECOND_US) {
    const random = randomFrom("pair");
    this.delayUs = delayUs;
    this.ends = [new Neighbour(this.nowUs, () => random.u32()), new Neighbour(this.nowUs, () => random.u32())];
  }

  say(from: 0 | 1): void {
    const hello = this.ends[from].nextHello(this.nowUs, FIELDS);
    this.said.push({ from, atUs: this.nowUs, hello });
    const to = from === 0 ? 1 : 0;
    if (this.carries(from, hello)) this.flying.push({ dueUs: this.nowUs + this.delayUs, to, hello });
  }

  run(forUs: number): this {
    const endUs = this.nowUs + forUs;
    for (;;) {
      const dues = this.ends.map((end) => (end.state.kind === "dead" ? NEVER : end.nextTimeoutUs));
      const nextUs = Math.min(...dues, ...this.flying.map(({ dueUs }) => dueUs));
      if (nextUs > endUs) break;
      this.nowUs = Math.max(this.nowUs, nextUs);
      for (const who of [0, 1] as const) {
        if (dues[who]! > this.nowUs) continue;
        const step = this.ends[who].handleTimeout(this.nowUs);
        if (step === "hello") this.say(who);
        if (step === "dead") this.deaths.push(this.nowUs);
      }
      const arrived = this.flying.filter(({ dueUs }) => dueUs <= this.nowUs);
      this.flying = this.flying.filter(({ dueUs }) => dueUs > this.nowUs);
      for (const { to, hello } of arrived) {
        if (this.ends[to].state.kind === "dead") continue;
        const { cameUp, answer } = this.ends[to].handleHello(this.nowUs, hello);
        if (cameUp || answer) this.say(to);
      }
    }
    this.nowUs = endUs;
    return this;
  }

  get states(): string[] {
    return this.ends.map((end) => end.state.kind);
  }
}

test("a link is up within two round trips, when both ends were echoed", () => {
  const pair = new Pair(10 * MILLISECOND_US);
  pair.run(15 * MILLISECOND_US);
  expect(pair.states).toEqual(["greeting", "greeting"]); // each heard the other, neither was echoed

  pair.run(25 * MILLISECOND_US);

  expect(pair.states).toEqual(["up", "up"]);
});

test("a one-way link is never up and ends after four seconds", () => {
  const pair = new Pair();
  pair.carries = (from) => from === 0;

  pair.run(LINK_DEAD_US - MILLISECOND_US);
  expect(pair.states).toEqual(["greeting", "greeting"]);
  pair.run(MILLISECOND_US);

  expect(pair.states).toEqual(["dead", "dead"]);
  expect(pair.ends[1].rttUs).toBe(0);
});

test("a quiet link says hello about every two seconds", () => {
  const pair = new Pair().run(SECOND_US);
  pair.said.length = 0;

  pair.run(60 * SECOND_US);

  for (const who of [0, 1]) {
    const times = pair.said.filter(({ from }) => from === who).map(({ atUs }) => atUs);
    expect(times.length).toBeGreaterThanOrEqual(30);
    expect(times.length).toBeLessThanOrEqual(34);
  }
});

test("the first miss leads to quick probes until the link is dead", () => {
  const pair = new Pair().run(10 * SECOND_US);
  pair.carries = () => false;
  const lastHeardUs = Math.max(...pair.said.filter(({ from }) => from === 1).map(({ atUs }) => atUs)) + pair.delayUs;
  pair.said.length = 0;

  pair.run(LINK_DEAD_US);

  const probes = pair.said.filter(({ from, hello }) => from === 0 && hello.probe).map(({ atUs }) => atUs - lastHeardUs);
  expect(probes).toEqual([2250, 2500, 2750, 3000, 3250, 3500, 3750].map((ms) => ms * MILLISECOND_US));
});

test("a silent neighbour is dead four seconds after its last new echo, and not before", () => {
  const pair = new Pair().run(10 * SECOND_US);
  let lastEchoUs = 0;
  const heard = pair.ends[0].handleHello.bind(pair.ends[0]);
  pair.ends[0].handleHello = (nowUs, hello) => {
    lastEchoUs = nowUs;
    return heard(nowUs, hello);
  };
  pair.run(4 * SECOND_US);
  pair.carries = () => false;
  pair.run(3 * SECOND_US);
  expect(pair.ends[0].state.kind).toBe("up");

  pair.run(8 * SECOND_US);

  const mine = pair.deaths.find((atUs) => atUs === lastEchoUs + LINK_DEAD_US);
  expect(mine).toBeDefined();
  expect(pair.states).toEqual(["dead", "dead"]);
});

test("hellos that arrive without a new echo do not keep a link alive", () => {
  const pair = new Pair().run(10 * SECOND_US);
  pair.carries = (from) => from === 1; // 0 hears 1, but 1 hears nothing and echoes old news

  pair.run(9 * SECOND_US);

  expect(pair.states).toEqual(["dead", "dead"]);
});

test("a hello shows that both directions work when it echoes all there is to echo, though it was echoed before", () => {
  const pair = new Pair().run(10 * SECOND_US);
  const [near, far] = pair.ends;
  pair.carries = () => false;
  const own = near.nextHello(pair.nowUs, FIELDS); // the far end says hello twice before we say our next
  far.handleHello(pair.nowUs + 10_000, own);
  const first = far.nextHello(pair.nowUs + 20_000, FIELDS);
  near.handleHello(pair.nowUs + 30_000, first);
  const secondUs = pair.nowUs + SECOND_US;
  near.handleHello(secondUs, far.nextHello(secondUs - 10_000, FIELDS));
  near.nextHello(secondUs + 500_000, FIELDS); // and does not hear this one
  near.handleHello(secondUs + SECOND_US, far.nextHello(secondUs + SECOND_US - 10_000, FIELDS));

  let diedUs = near.nextTimeoutUs;
  while (near.handleTimeout(diedUs) === "hello") {
    near.nextHello(diedUs, FIELDS);
    diedUs = near.nextTimeoutUs;
  }
  expect(diedUs).toBe(secondUs + LINK_DEAD_US);
});

test("a probe that is answered saves the link", () => {
  const pair = new Pair().run(10 * SECOND_US);
  let lost = 0;
  pair.carries = (_from, hello) => {
    if (hello.probe || lost >= 4) return true;
    lost += 1;
    return false;
  };

  pair.run(20 * SECOND_US);

  expect(lost).toBe(4);
  expect(pair.states).toEqual(["up", "up"]);
});

test("a hello that was heard before changes nothing", () => {
  const pair = new Pair().run(10 * SECOND_US);
  const { hello } = pair.said.filter(({ from }) => from === 1).at(-1)!;
  const [ada] = pair.ends;
  const before = { ...ada };

  expect(ada.handleHello(pair.nowUs, hello)).toEqual({ cameUp: false, answer: false });
  expect(ada.handleHello(pair.nowUs, { ...hello, seqno: 1, probe: true })).toEqual({ cameUp: false, answer: false });

  expect({ ...ada }).toEqual(before);
});

test("an echo of a hello that was never sent does not bring a link up", () => {
  const ada = new Neighbour(START_US, () => 0);
  ada.nextHello(START_US, FIELDS);
  const bob = new Neighbour(START_US, () => 0);
  const hello = bob.nextHello(START_US, FIELDS);

  expect(ada.handleHello(START_US + 1, { ...hello, echoSeqno: 2 }).cameUp).toBe(false);
  expect(ada.state.kind).toBe("greeting");
  expect(ada.handleHello(START_US + 2, { ...hello, seqno: 2, echoSeqno: 1 }).cameUp).toBe(true);
});

test("the round trip is measured without the time the neighbour sat on it", () => {
  const pair = new Pair(15 * MILLISECOND_US).run(30 * SECOND_US);

  expect(pair.ends[0].rttUs).toBeGreaterThanOrEqual(30 * MILLISECOND_US - 8);
  expect(pair.ends[0].rttUs).toBeLessThanOrEqual(30 * MILLISECOND_US);
});

test("a lie about the echo's delay, or an hour asleep, leaves a sane round trip", () => {
  const ada = new Neighbour(START_US, () => 0);
  const bob = new Neighbour(START_US, () => 0);
  ada.nextHello(START_US, FIELDS);
  const hello = bob.nextHello(START_US, FIELDS);

  ada.handleHello(START_US + 1000, { ...hello, echoSeqno: 1, echoDelayUs: 0xffff_ffff });
  expect(ada.rttUs).toBe(1);
  ada.nextHello(START_US + 2000, FIELDS);
  ada.handleHello(START_US + 3600 * SECOND_US, { ...hello, seqno: 2, echoSeqno: 2, echoDelayUs: 0 });

  expect(ada.rttUs).toBeGreaterThan(0);
  expect(ada.rttUs).toBeLessThanOrEqual(LINK_DEAD_US);
});

test("loss is smoothed: a fifth lost shows as about a fifth, and all is forgotten in a minute or two", () => {
  const pair = new Pair().run(2 * SECOND_US);
  const random = randomFrom("loss");
  pair.carries = () => !random.chance(0.2);
  let sum = 0;
  for (let i = 0; i < 100; i += 1) sum += pair.run(4 * SECOND_US).ends[0].lossPerMille;
  expect(sum / 100).toBeGreaterThan(120);
  expect(sum / 100).toBeLessThan(280);

  pair.carries = () => true;
  pair.run(400 * SECOND_US);

  expect(pair.states).toEqual(["up", "up"]);
  expect(pair.ends.map((end) => end.lossPerMille)).toEqual([0, 0]);
});

test("what was said before we listened is not loss", () => {
  const ada = new Neighbour(START_US, () => 0);
  const bob = new Neighbour(START_US, () => 0);
  for (let i = 0; i < 9; i += 1) bob.nextHello(START_US, FIELDS);

  ada.handleHello(START_US, bob.nextHello(START_US, FIELDS));

  expect(ada.lossPerMille).toBe(0);
});

/** Lets one end ring its timers until it gives the other up; answers when. */
function deathOf(one: Neighbour, fromUs: number): number {
  for (let nowUs = fromUs; ; nowUs = one.nextTimeoutUs) {
    const step = one.handleTimeout(nowUs);
    if (step === "hello") one.nextHello(nowUs, FIELDS);
    if (step === "dead") return nowUs;
  }
}

test("a node whose own timer rang late leaves that time out and waits twice as long before it blames others", () => {
  const pair = new Pair().run(10 * SECOND_US);
  const [ada] = pair.ends;
  const dueUs = ada.nextTimeoutUs;
  const lagUs = 3 * SECOND_US; // others have not given it up yet

  const diedUs = deathOf(ada, dueUs + lagUs);

  expect(diedUs - (dueUs + lagUs)).toBeGreaterThan(2 * LINK_DEAD_US - HELLO_INTERVAL_US);
  expect(diedUs - (dueUs + lagUs)).toBeLessThanOrEqual(2 * LINK_DEAD_US);
});

test("a node that slept for longer than others wait asks at once, and gives up after two seconds without an echo", () => {
  for (const asleepUs of [6, 30, 600, 8 * 3600].map((seconds) => seconds * SECOND_US)) {
    const pair = new Pair().run(10 * SECOND_US);
    const [ada] = pair.ends;
    const awakeUs = ada.nextTimeoutUs + asleepUs;

    expect(ada.handleTimeout(awakeUs)).toBe("hello");
    expect(ada.nextHello(awakeUs, FIELDS).probe).toBe(true);
    const diedUs = deathOf(ada, ada.nextTimeoutUs);

    expect(diedUs - awakeUs).toBe(2 * SECOND_US + 2 * ada.rttUs);
  }
});

test("a neighbour that was heard after a long sleep of our own is not blamed for it", () => {
  const pair = new Pair().run(10 * SECOND_US);
  const [ada, bob] = pair.ends;
  const awakeUs = ada.nextTimeoutUs + 600 * SECOND_US;
  expect(ada.handleTimeout(awakeUs)).toBe("hello");
  bob.handleHello(awakeUs, ada.nextHello(awakeUs, FIELDS));

  ada.handleHello(awakeUs + 20 * MILLISECOND_US, bob.nextHello(awakeUs, FIELDS));

  expect(ada.state.kind).toBe("up");
  expect(ada.nextTimeoutUs - awakeUs).toBeLessThanOrEqual(HELLO_INTERVAL_US);
  expect(ada.handleTimeout(awakeUs + 3 * SECOND_US)).toBe("hello");
});

test("a link in doubt asks at once and is dead after a second and two round trips without an echo", () => {
  const pair = new Pair().run(10 * SECOND_US);
  const [ada] = pair.ends;
  pair.carries = () => false;
  pair.said.length = 0;
  const doubtedUs = pair.nowUs;

  ada.doubt(doubtedUs);
  expect(ada.nextTimeoutUs).toBe(doubtedUs);
  pair.run(999 * MILLISECOND_US);
  expect(ada.state.kind).toBe("up");
  expect(pair.said.filter(({ from, hello }) => from === 0 && hello.probe).length).toBe(4);
  pair.run(2 * ada.rttUs);
  expect(ada.state.kind).toBe("up");
  pair.run(MILLISECOND_US);

  expect(ada.state.kind).toBe("dead");
});

test("an echo takes the doubt away, an older one does not", () => {
  const pair = new Pair(300 * MILLISECOND_US).run(10 * SECOND_US);
  const [ada] = pair.ends;
  pair.say(0); // its echo will come during the doubt
  pair.run(10 * MILLISECOND_US);
  ada.doubt(pair.nowUs);
  const { hello } = pair.said.filter(({ from }) => from === 1).at(-1)!;
  const sent = pair.said.filter(({ from }) => from === 0).at(-1)!.hello.seqno;
  const seqno = hello.seqno + 1;

  ada.handleHello(pair.nowUs + 1, { ...hello, seqno, echoSeqno: sent });
  expect(ada.nextTimeoutUs).toBe(pair.nowUs);
  const fresh = ada.nextHello(pair.nowUs, FIELDS).seqno;
  ada.handleHello(pair.nowUs + 2, { ...hello, seqno: seqno + 1, echoSeqno: fresh });

  expect(ada.handleTimeout(pair.nowUs + SECOND_US)).not.toBe("dead");
  expect(ada.state.kind).toBe("up");
});

// Cost classes.

test.each([
  [0, 0, 1],
  [19_999, 0, 1],
  [20_000, 0, 2],
  [80_000, 0, 3],
  [250_000, 0, 4],
  [1_000, 50, 2],
  [1_000, 150, 3],
  [5_000_000, 1000, 4],
])("a link of %i us and %i per mille loss costs %i", (rttUs, lossPerMille, cost) => {
  expect(costClass(rttUs, lossPerMille, 0)).toBe(cost);
});

test("a class is left only well beyond its step, in both directions", () => {
  expect(costClass(21_000, 0, 1)).toBe(1);
  expect(costClass(26_000, 0, 1)).toBe(1);
  expect(costClass(27_000, 0, 1)).toBe(2);
  expect(costClass(19_000, 0, 2)).toBe(2);
  expect(costClass(16_000, 0, 2)).toBe(2);
  expect(costClass(15_999, 0, 2)).toBe(1);
  expect(costClass(1_000, 60, 1)).toBe(1);
  expect(costClass(1_000, 67, 1)).toBe(2);
});

test("a round trip that trembles about a step does not flap", () => {
  const random = randomFrom("flap");
  let cost = costClass(20_000, 0, 0);
  let changes = 0;
  for (let i = 0; i < 1000; i += 1) {
    const next = costClass(random.between(17_000, 24_000), 0, cost);
    if (next !== cost) changes += 1;
    cost = next;
  }
  expect(changes).toBeLessThanOrEqual(1);
});

test("a settled cost follows the least of the recent round trips, not one slow answer", () => {
  const pair = new Pair(2 * MILLISECOND_US).run(20 * SECOND_US);
  pair.delayUs = 60 * MILLISECOND_US;
  pair.run(3 * SECOND_US);
  expect(pair.ends[0].settleCost()).toBe(false);

  pair.run(40 * SECOND_US);

  expect(pair.ends[0].settleCost()).toBe(true);
  expect(pair.ends[0].cost).toBe(3);
});

test("chance alone does not change the cost of a link that loses one hello in fifty", () => {
  let changes = 0;
  for (let seed = 0; seed < 20; seed += 1) {
    const random = randomFrom(`fiftieth ${seed}`);
    const pair = new Pair(2 * MILLISECOND_US);
    pair.carries = () => !random.chance(0.02);
    pair.run(4 * SECOND_US);
    for (let i = 0; i < 150; i += 1) if (pair.run(4 * SECOND_US).ends[0].settleCost()) changes += 1;
  }
  expect(changes).toBeLessThanOrEqual(2);
});

test("a link that begins to lose an eighth costs more within four minutes", () => {
  const random = randomFrom("an eighth");
  const pair = new Pair(2 * MILLISECOND_US).run(20 * SECOND_US);
  pair.carries = () => !random.chance(0.125);

  pair.run(240 * SECOND_US);
  expect(pair.states).toEqual(["up", "up"]);

  expect(pair.ends[0].settleCost()).toBe(true);
  expect(pair.ends[0].cost).toBeGreaterThan(1);
});

// The dialer.

function dialer(seed = "dialer"): Dialer {
  const random = randomFrom(seed);
  return new Dialer(START_US, {
    path: 7,
    pin: undefined,
    random32: () => random.u32(),
    newNonce: () => random.bytes(8),
  });
}

function attempt(startUs: number): Initiator {
  const random = randomFrom("attempt");
  const suite = nobleSuite;
  const context = { suite, entropy: (length: number) => random.bytes(length), networkId: new Uint8Array(32) };
  const initiator = new Initiator(context, {
    peerPublicKey: suite.kemKeys(random.bytes(64)).publicKey,
    params: { creditKiB: 0, streamsMax: 0, flags: 0 },
    flightBytes: LINK_DATAGRAM_BYTES,
    localIndex: 5,
  });
  initiator.start(startUs);
  return initiator;
}

/** Lets a dialer try until it failed. Answers what it did, and when. */
function failOnce(one: Dialer): { readonly steps: DialStep["kind"][]; readonly failedUs: number } {
  const steps: DialStep["kind"][] = [];
  for (;;) {
    const nowUs = one.nextTimeoutUs;
    const step = one.handleTimeout(nowUs);
    if (step !== undefined) steps.push(step.kind);
    if (step?.kind === "failed") return { steps, failedUs: nowUs };
  }
}

test("a dialer asks four times with one nonce, then pauses", () => {
  const one = dialer();
  const first = one.handleTimeout(START_US);
  expect(first?.kind).toBe("ask");
  expect(one.handleTimeout(START_US + 299 * MILLISECOND_US)).toBeUndefined();
  const second = one.handleTimeout(START_US + 300 * MILLISECOND_US);
  expect(second).toEqual(first);

  const { steps } = failOnce(one);

  expect(steps).toEqual(["ask", "ask", "failed"]);
  expect(one.state.kind).toBe("waiting");
});

test("pauses grow up to thirty seconds, each between half and the whole of that, and differ from node to node", () => {
  const one = dialer();
  const other = dialer("another");
  const pausesOf = (who: Dialer) =>
    Array.from({ length: 12 }, () => {
      const { failedUs } = failOnce(who);
      return who.nextTimeoutUs - failedUs;
    });
  const pauses = pausesOf(one);

  for (const [i, pauseUs] of pauses.entries()) {
    const wholeUs = Math.min(30 * SECOND_US, 500 * MILLISECOND_US * 2 ** i);
    expect(pauseUs).toBeGreaterThanOrEqual(wholeUs / 2);
    expect(pauseUs).toBeLessThanOrEqual(wholeUs);
  }
  expect(pausesOf(other)).not.toEqual(pauses);
});

test("a link that comes up makes the next pause short again; one that only shook hands does not", () => {
  const one = dialer();
  for (let i = 0; i < 8; i += 1) failOnce(one);
  let nowUs = one.nextTimeoutUs;

  one.handleLinked(nowUs);
  one.handleLost(nowUs);
  expect(one.nextTimeoutUs - nowUs).toBeGreaterThanOrEqual(15 * SECOND_US);

  nowUs = one.nextTimeoutUs;
  one.handleLinked(nowUs);
  one.handleUp();
  one.handleLost(nowUs);
  expect(one.nextTimeoutUs - nowUs).toBeLessThanOrEqual(500 * MILLISECOND_US);
});

test("an INIT that nobody answers is repeated and fails, which erases the attempt", () => {
  const one = dialer();
  one.handleTimeout(START_US);
  const initiator = attempt(START_US);
  one.handleKey(initiator);

  const { steps, failedUs } = failOnce(one);

  expect(steps).toEqual(["flight", "flight", "flight", "failed"]);
  expect(failedUs - START_US).toBe(3750 * MILLISECOND_US);
  expect(initiator.nextTimeoutUs).toBe(NEVER);
});

test("a hint starts one dial a second at most, and none within a second of the link's birth", () => {
  const one = dialer();
  one.handleLinked(START_US);
  expect(one.redial(START_US + SECOND_US - 1)).toBe(false);
  expect(one.redial(START_US + SECOND_US)).toBe(true);
  expect(one.nextTimeoutUs).toBe(START_US + SECOND_US);
  expect(one.redial(START_US + SECOND_US)).toBe(false); // dialling already

  one.handleLinked(START_US + 1500 * MILLISECOND_US);
  expect(one.redial(START_US + 2400 * MILLISECOND_US)).toBe(false);
  expect(one.redial(START_US + 2500 * MILLISECOND_US)).toBe(true);
});

test("nothing is due while a link stands", () => {
  const one = dialer();
  one.handleLinked(START_US);
  expect(one.nextTimeoutUs).toBe(NEVER);
  expect(one.handleTimeout(START_US + 1000 * SECOND_US)).toBeUndefined();
});

test("the interval that a hello promises is the one that is kept", () => {
  const hello = new Neighbour(START_US, () => 0).nextHello(START_US, FIELDS);
  expect(hello.intervalMs * MILLISECOND_US).toBe(HELLO_INTERVAL_US);
});
