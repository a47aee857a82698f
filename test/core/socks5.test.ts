import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nacFromHash } from "../../core/address/nac.js";
import { printLongName, printName } from "../../core/address/name.js";
import { Digest } from "../../core/collections/digest.js";
import { tagOf } from "../../core/proxy/isolation.js";
import { decideDatagram } from "../../core/proxy/socks-datagram.js";
import {
  SocksNegotiation,
  SocksReply,
  type SocksStep,
  socksAssociated,
  socksReply,
  socksReplyOf,
} from "../../core/proxy/socks5.js";
import { LocalCode } from "../../core/stack/ports.js";
import { EndCode } from "../../core/wire/cell.js";

const HASH = Uint8Array.from({ length: 32 }, (_, i) => i * 5 + 1);
const NAC = nacFromHash(HASH);
const NAME = printName(NAC);
const LONG_NAME = printLongName(HASH);

const bytesOf = (text: string) => [...Buffer.from(text, "latin1")];
const GREETING = [5, 1, 0];
const named = (name: string) => [3, name.length, ...bytesOf(name)];
const request = (address: number[], port = 80, command = 1) => [5, command, 0, ...address, port >> 8, port & 255];

interface Talk {
  /** All that was said to the client. */
  readonly said: number[];
  readonly last: SocksStep;
}

/** Gives the bytes in these pieces, until a step ends the negotiation. */
function talk(...pieces: (readonly number[])[]): Talk {
  const negotiation = new SocksNegotiation();
  const said: number[] = [];
  let last: SocksStep = { kind: "wait" };
  for (const piece of pieces) {
    negotiation.handle(Uint8Array.from(piece));
    for (last = negotiation.next(); last.kind === "reply"; last = negotiation.next()) said.push(...last.bytes);
    if (last.kind === "refuse") said.push(...last.bytes);
    if (last.kind !== "wait") break;
  }
  return { said, last };
}

const reply = (code: number) => [5, code, 0, 1, 0, 0, 0, 0, 0, 0];

describe("CONNECT", () => {
  test("to a name is a tunnel to its NAC and port", () => {
    const { said, last } = talk(GREETING, request(named(NAME), 8022));
    expect(said).toEqual([5, 0]);
    expect(last).toMatchObject({ kind: "connect", target: { nac: NAC, port: 8022, isolation: "" } });
  });

  test("to a long name carries the whole hash", () => {
    expect(talk(GREETING, request(named(LONG_NAME))).last).toMatchObject({ target: { nac: NAC, hash: HASH } });
  });

  test("takes upper case and the dot of the root", () => {
    for (const name of [NAME.toUpperCase(), `${NAME}.`]) {
      expect(talk(GREETING, request(named(name))).last).toMatchObject({ kind: "connect", target: { nac: NAC } });
    }
  });

  test("hands over what a hasty client said beyond its request", () => {
    const { said, last } = talk([...GREETING, ...request(named(NAME)), 7, 8, 9]);
    expect(said).toEqual([5, 0]);
    expect(last).toMatchObject({ kind: "connect", early: Uint8Array.of(7, 8, 9) });
  });
});

describe("user and password", () => {
  const auth = (user: string, password: string) => [
    1,
    user.length,
    ...bytesOf(user),
    password.length,
    ...bytesOf(password),
  ];

  test("are asked for when they are offered, always accepted, and a tag", () => {
    const { said, last } = talk([5, 2, 0, 2], auth("work", "1"), request(named(NAME)));
    expect(said).toEqual([5, 2, 1, 0]);
    expect(last).toMatchObject({ kind: "connect", target: { isolation: tagOf("work", "1") } });
  });

  test("may be empty or as long as a byte can say, of any bytes", () => {
    const long = String.fromCharCode(...Array.from({ length: 255 }, (_, i) => i + 1));
    for (const [user, password] of [
      ["", ""],
      [long, long],
      ["a", ""],
    ] as const) {
      const { last } = talk([5, 1, 2], auth(user, password), request(named(NAME)));
      expect(last).toMatchObject({ kind: "connect", target: { isolation: tagOf(user, password) } });
    }
  });

  test("of another version of RFC 1929 are refused", () => {
    expect(talk([5, 1, 2], [9, 1, 65, 1, 65])).toMatchObject({ said: [5, 2, 1, 1], last: { fault: "malformed" } });
  });
});

describe("a request is refused", () => {
  test.each([
    ["an IPv4 address", request([1, 127, 0, 0, 1]), "ipAddress", SocksReply.notAllowed],
    ["an IPv6 address", request([4, ...Array<number>(16).fill(0)]), "ipAddress", SocksReply.notAllowed],
    ["an IPv4 address that is written as a name", request(named("127.0.0.1")), "notMariana", SocksReply.notAllowed],
    ["an IPv6 address that is written as a name", request(named("::1")), "notMariana", SocksReply.notAllowed],
    ["a decimal address", request(named("2130706433")), "notMariana", SocksReply.notAllowed],
    ["localhost with a dot", request(named("localhost.")), "notMariana", SocksReply.notAllowed],
    ["a name of the clear net", request(named("example.com")), "notMariana", SocksReply.notAllowed],
    ["an empty name", request(named("")), "notMariana", SocksReply.notAllowed],
    ["a name with a NUL", request(named(`example.com\0${NAME}`)), "badName", SocksReply.hostUnreachable],
    ["userinfo before the name", request(named(`a@${NAME}`)), "badName", SocksReply.hostUnreachable],
    ["a port behind the name", request(named(`${NAME}:80`)), "notMariana", SocksReply.notAllowed],
    ["a name that is no NAC", request(named("shop.mariana")), "badName", SocksReply.hostUnreachable],
    ["port 0", request(named(NAME), 0), "badPort", SocksReply.failed],
    ["BIND", request(named(NAME), 80, 2), "command", SocksReply.commandUnknown],
    ["a command that nobody knows", request(named(NAME), 80, 99), "command", SocksReply.commandUnknown],
    ["an address of unknown type", request([2, 0]), "addressType", SocksReply.addressTypeUnknown],
    ["another version", [4, 1, 0, ...named(NAME), 0, 80], "malformed", SocksReply.failed],
    ["a reserved byte that is not zero", [5, 1, 1, ...named(NAME), 0, 80], "malformed", SocksReply.failed],
  ])("when it asks for %s", (_name, bytes, fault, code) => {
    const { said, last } = talk(GREETING, bytes);
    expect(last).toMatchObject({ kind: "refuse", fault });
    expect(said).toEqual([5, 0, ...reply(code)]);
  });

  test("when the client offers no method that we know", () => {
    expect(talk([5, 2, 1, 128])).toMatchObject({ said: [5, 0xff], last: { fault: "noMethod" } });
    expect(talk([5, 0])).toMatchObject({ said: [5, 0xff], last: { fault: "noMethod" } });
  });

  test("in words for HTTP, in its own code for SOCKS4, in silence for anything else", () => {
    expect(Buffer.from(talk(bytesOf("GET / HTTP/1.1\r\n")).said).toString()).toMatch(/^HTTP\/1\.1 501 [\s\S]*socks5h/);
    expect(talk([4, 1, 0, 80]).said).toEqual([0, 0x5b, 0, 0, 0, 0, 0, 0]);
    expect(talk([22, 3, 1])).toMatchObject({ said: [], last: { kind: "refuse", fault: "notSocks5" } });
  });
});

describe("UDP ASSOCIATE", () => {
  test("names no target of its own, but perhaps the port that the client will use", () => {
    const { last } = talk(GREETING, request([1, 0, 0, 0, 0], 4242, 3));
    expect(last).toEqual({ kind: "associate", port: 4242, isolation: "" });
    expect([...socksAssociated(0x1234)]).toEqual([5, 0, 0, 1, 0, 0, 0, 0, 0x12, 0x34]);
  });

  const datagram = (address: number[], port = 53, head = [0, 0, 0]) =>
    Uint8Array.from([...head, ...address, port >> 8, port & 255, 1, 2, 3]);

  test("takes datagrams to a name and port, each with an address of its own", () => {
    const decision = decideDatagram(datagram(named(NAME)), "tag");
    const target = { kind: "tunnel", nac: NAC, port: 53, isolation: "tag" };
    expect(decision).toEqual({ target, dataAt: 7 + NAME.length });
  });

  test.each<[string, Uint8Array, string]>([
    ["a fragment", datagram(named(NAME), 53, [0, 0, 1]), "fragment"],
    ["a reserved byte that is not zero", datagram(named(NAME), 53, [0, 1, 0]), "malformed"],
    ["an IP address", datagram([1, 8, 8, 8, 8]), "ipAddress"],
    ["a name of the clear net", datagram(named("example.com")), "notMariana"],
    ["port 0", datagram(named(NAME), 0), "badPort"],
    ["an unknown type of address", datagram([9, 9]), "addressType"],
    ["half an address", datagram(named(NAME)).slice(0, 20), "malformed"],
    ["nothing in it", new Uint8Array(0), "malformed"],
  ])("drops one with %s", (_name, bytes, fault) => {
    expect(decideDatagram(bytes, "")).toBe(fault);
  });

  test("drops what is no datagram of ours, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(typeof decideDatagram(bytes, "")).toBe("string");
      }),
    );
  });
});

test("how the bytes are cut changes nothing", () => {
  const whole = [5, 2, 0, 2, 1, 1, 65, 1, 66, ...request(named(NAME), 443)];
  const expected = talk(whole);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 80 }), (lengths) => {
      const pieces: number[][] = [];
      let at = 0;
      for (let i = 0; at < whole.length; i += 1) {
        const length = lengths[i % lengths.length]!;
        pieces.push(whole.slice(at, at + length));
        at += length;
      }
      expect(talk(...pieces)).toEqual(expected);
    }),
  );
});

test("its digest tells apart how far it has come and under which tag, and not how it got there", () => {
  const digestAfter = (...pieces: number[][]): string => {
    const negotiation = new SocksNegotiation();
    for (const piece of pieces) {
      negotiation.handle(Uint8Array.from(piece));
      while (negotiation.next().kind === "reply");
    }
    const into = new Digest();
    negotiation.digest(into);
    return into.hex();
  };
  const greeted = [5, 1, 2, 1, 1, 65, 1, 66];
  expect(digestAfter(greeted, [5])).toBe(digestAfter(greeted.slice(0, 2), greeted.slice(2), [5]));
  const others = [[], GREETING, [5, 1, 2], greeted, [5, 1, 2, 1, 1, 65, 1, 67], [...greeted, 5]].map((all) =>
    digestAfter(all),
  );
  expect(new Set(others).size).toBe(others.length);
});

test("whatever the bytes, it never throws, never tunnels to anything but a NAC, and holds little", () => {
  const opening = fc.constantFrom<number[]>(
    [],
    GREETING,
    [5, 1, 2],
    [5, 1, 2, 1, 1, 65, 1, 66],
    [...GREETING, 5, 1, 0, 3],
  );
  const rest = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 4 });
  fc.assert(
    fc.property(opening, rest, (first, pieces) => {
      const negotiation = new SocksNegotiation();
      for (const piece of [Uint8Array.from(first), ...pieces]) {
        negotiation.handle(piece);
        let step = negotiation.next();
        while (step.kind === "reply") step = negotiation.next();
        if (step.kind === "connect") expect(step.target.nac).toHaveLength(16);
        if (step.kind !== "wait") return;
        expect((negotiation as unknown as { pending: Uint8Array }).pending.length).toBeLessThan(520);
      }
    }),
    { numRuns: 2000 },
  );
});

test("a stream's end has a reply of its own, and none says that it worked", () => {
  const codes = { ...EndCode, ...LocalCode };
  const replies = Object.fromEntries(Object.entries(codes).map(([name, code]) => [name, socksReplyOf(code, 80)]));
  expect(replies).toMatchObject({
    refused: SocksReply.refused,
    targetDown: SocksReply.refused,
    timeout: SocksReply.timedOut,
    unreachable: SocksReply.hostUnreachable,
    noKey: SocksReply.hostUnreachable,
    handshakeFailed: SocksReply.hostUnreachable,
    overload: SocksReply.failed,
    sessionLost: SocksReply.failed,
  });
  expect(Object.values(replies)).not.toContain(SocksReply.succeeded);
  expect([...socksReply(4)]).toEqual(reply(4));
});
