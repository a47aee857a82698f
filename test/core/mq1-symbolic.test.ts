/**
 * Attacks on MQ1, searched for rather than argued away: test/support/symbolic has the attacker and the bounds. What holds
 * here holds for terms, not for bytes: it says that the messages fit together, not that AES or ML-KEM are strong.
 */
import { describe, expect, test } from "vitest";
import { nobleSuite } from "../../core/crypto/noble-suite.js";
import type { CryptoSuite } from "../../core/crypto/suite.js";
import { CONF_HEAD_BYTES } from "../../core/wire/conf.js";
import { BISCUIT_BYTES } from "../../core/wire/flight.js";
import { INIT_HEAD_BYTES, INIT_TAIL_BYTES } from "../../core/wire/init.js";
import { RESP_HEAD_BYTES } from "../../core/wire/resp.js";
import { anyNac, HandshakePair, seededEntropy } from "../support/handshake-pair.js";
import { lengthOf } from "../support/length.js";
import { type Attack, type Property, type Scene, searchAttacks } from "../support/symbolic/mq1-search.js";
import { type Flaws, Schedule } from "../support/symbolic/schedule.js";

const ALONE: Scene = { initiators: ["responder"], inits: 2, confs: 2 };
const BESIDE_A_BAD_SERVICE: Scene = { initiators: ["responder", "attacker"], inits: 2, confs: 2 };
const TWO_CALLERS: Scene = { initiators: ["responder", "responder"], inits: 2, confs: 2 };
const QUANTUM = { breaksDiffieHellman: true };

function tell(attacks: readonly Attack[]): string {
  return attacks.map(({ property, steps }) => [property, ...steps].join("\n  ")).join("\n");
}

describe("no attack is found on MQ1", () => {
  const scenes: [string, Scene][] = [
    ["one handshake", ALONE],
    ["two handshakes with one responder", TWO_CALLERS],
    ["a handshake beside one with a service of the attacker", BESIDE_A_BAD_SERVICE],
    ["one handshake, X25519 broken", { ...ALONE, powers: QUANTUM }],
    [
      "a handshake beside one with a service of the attacker, X25519 broken",
      { ...BESIDE_A_BAD_SERVICE, ...lengthOf({ short: { inits: 1, confs: 1 }, full: {} }), powers: QUANTUM },
    ],
  ];
  test.each(scenes)("%s: none is found", (_name, scene) => {
    const { attacks, completed } = searchAttacks(scene);

    expect(tell(attacks)).toBe("");
    expect(completed).toBeGreaterThan(0);
  });
});

test("with ML-KEM broken, who only listens still learns no key, thanks to X25519, but the return NAC", () => {
  const { attacks, completed } = searchAttacks({ ...ALONE, isPassive: true, powers: { breaksKem: true } });

  expect(attacks.map(({ property }) => property)).toEqual(["return NAC secrecy"]);
  expect(completed).toBeGreaterThan(0);
});

describe("the search finds what a weaker protocol would allow", () => {
  const flaws: [string, Flaws, Scene["powers"], Property][] = [
    ["INIT sealed without the static secret", { noStaticSecret: true }, {}, "return NAC secrecy"],
    ["the return NAC in clear", { returnNacInClear: true }, {}, "return NAC secrecy"],
    ["RESP not chained to the static secret", { noChainToStatic: true }, {}, "responder authentication"],
    ["RESP not chained to the static secret", { noChainToStatic: true }, {}, "secrecy"],
    ["no ephemeral secret at all", { noDiffieHellman: true, noEphemeralKem: true }, {}, "forward secrecy"],
    ["no ephemeral ML-KEM, X25519 broken", { noEphemeralKem: true }, QUANTUM, "forward secrecy"],
    ["version and suites in no transcript", { headersUnbound: true }, {}, "agreement"],
    ["used biscuits forgotten", { biscuitsForgotten: true }, {}, "no session twice"],
  ];
  test.each(flaws)("%s is found out", (_name, planted, powers, property) => {
    const { attacks } = searchAttacks({ ...ALONE, flaws: planted, powers: powers ?? {} });

    expect(attacks.map((attack) => attack.property)).toContain(property);
  });

  test("each of the two ephemeral secrets alone keeps what was said secret after the static key is stolen", () => {
    for (const planted of [{ noDiffieHellman: true }, { noEphemeralKem: true }]) {
      expect(tell(searchAttacks({ ...ALONE, flaws: planted }).attacks)).toBe("");
    }
  });
});

test("the schedule that is searched is the one that runs, key by key", () => {
  const secrets: Uint8Array[] = [];
  const keys: Uint8Array[] = [];
  const materials: Uint8Array[] = [];
  const watched = watchedSuite({ secrets, keys, materials });
  const pair = new HandshakePair({ initiatorSuite: watched, returnNac: anyNac(seededEntropy(5)) });
  const { init, resp, conf } = pair.connect();
  const [staticSecret, agreed, ephemeralSecret] = secrets as [Uint8Array, Uint8Array, Uint8Array];

  const schedule = new Schedule<Uint8Array>(
    {
      hash: (...parts) => nobleSuite.hash(...parts),
      extract: (salt, secret) => nobleSuite.extract(salt, secret).slice(0, 32),
      expand: (key, label, context) =>
        nobleSuite.expand(
          key,
          Buffer.concat([Buffer.from(label), context]),
          label === "mq1 traffic" ? materials[0]!.length : 32,
        ),
    },
    new Uint8Array(0),
  );
  const { networkId } = pair.initiatorContext;
  const th0 = schedule.first(Buffer.from([...Buffer.from("MQ1"), 1, 1]), networkId, pair.keys.publicKey);
  const one = schedule.init(th0, staticSecret, init.subarray(0, 8), init.subarray(8, 776), init.subarray(776, 808));
  const afterInit = schedule.afterInit(one, init.subarray(INIT_HEAD_BYTES, init.length - INIT_TAIL_BYTES));
  const two = schedule.resp(one, afterInit, agreed, resp.subarray(0, 4), resp.subarray(4, 8), resp.subarray(8, 40));
  const body = opened(two, resp.subarray(RESP_HEAD_BYTES));
  const th2 = schedule.afterResp(two, body.subarray(0, 4), body.subarray(4 + BISCUIT_BYTES));
  const clear = [conf.subarray(0, 4), conf.subarray(4, 8), conf.subarray(8, 8 + BISCUIT_BYTES)] as const;
  const ciphertext = conf.subarray(8 + BISCUIT_BYTES, CONF_HEAD_BYTES);
  const three = schedule.conf(two, th2, ephemeralSecret, ...clear, ciphertext);
  const th4 = schedule.afterConf(three, conf.subarray(CONF_HEAD_BYTES));

  expect(keys.slice(0, 3)).toEqual([one.key, two.key, three.key]);
  expect(materials).toEqual([schedule.traffic(three, th4)]);
});

interface Watched {
  readonly secrets: Uint8Array[];
  readonly keys: Uint8Array[];
  readonly materials: Uint8Array[];
}

/** The reference suite, which tells what it was asked for: agreed secrets, AEAD keys, traffic key material. */
function watchedSuite({ secrets, keys, materials }: Watched): CryptoSuite {
  return {
    ...nobleSuite,
    kemEncapsulate: (publicKey, randomness) => {
      const made = nobleSuite.kemEncapsulate(publicKey, randomness);
      if (made !== undefined) secrets.push(made.secret.slice());
      return made;
    },
    x25519Shared: (secret, peerPublic) => {
      const shared = nobleSuite.x25519Shared(secret, peerPublic);
      if (shared !== undefined) secrets.push(shared.slice());
      return shared;
    },
    expand: (key, info, length) => {
      const material = nobleSuite.expand(key, info, length);
      if (Buffer.from(info).toString("latin1").startsWith("mq1 traffic")) materials.push(material.slice());
      return material;
    },
    aead: (key) => {
      keys.push(key.slice());
      return nobleSuite.aead(key);
    },
  };
}

/** The plaintext behind a flight's seal. */
function opened(step: { readonly key: Uint8Array; readonly transcript: Uint8Array }, sealed: Uint8Array): Uint8Array {
  const body = sealed.slice();
  expect(nobleSuite.aead(step.key).open(new Uint8Array(12), step.transcript, body, 0, body.length)).toBe(true);
  return body.subarray(0, body.length - 16);
}
