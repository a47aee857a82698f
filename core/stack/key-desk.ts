import type { Digest } from "../collections/digest.js";
import { ASKED_BY_US, KeyRelay } from "../forwarding/key-relay.js";
import {
  answerKeyRequest,
  buildKeyRequest,
  type KeyMaterial,
  nacKeyMaterial,
  readKeyRequest,
  verifyKeyResponse,
} from "../session/key-fetch.js";
import { RecordKind } from "../wire/control-frame.js";
import { KeyKind } from "../wire/keyreq.js";
import { HOP_LIMIT } from "../wire/network-header.js";
import type { Addresses } from "./addresses.js";
import type { Links } from "./links.js";
import type { Plane } from "./plane.js";

/**
 * Static keys of NACs: asked for hop by hop, answered by whoever holds them, believed because they hash to the NAC.
 */
export class KeyDesk {
  private readonly plane: Plane;
  private readonly addresses: Addresses;
  private readonly links: () => Links;
  private readonly onKey: (nowUs: number, destination: number, key: KeyMaterial) => void;
  private readonly own: ReadonlyMap<number, KeyMaterial>;
  private readonly relay: KeyRelay;

  /** @param onKey a key came that this node itself asked for */
  constructor(args: {
    plane: Plane;
    addresses: Addresses;
    links: () => Links;
    onKey: (nowUs: number, destination: number, key: KeyMaterial) => void;
  }) {
    this.plane = args.plane;
    this.addresses = args.addresses;
    this.links = args.links;
    this.onKey = args.onKey;
    const { suite, dictionary } = args.plane.ports;
    this.relay = new KeyRelay(dictionary);
    this.own = new Map(
      args.addresses.called.map(({ number, identity: { kem, signature } }) => [
        number,
        nacKeyMaterial(suite, kem.publicKey, signature.publicKey),
      ]),
    );
  }

  /** The key of a NAC, if we are called by it or it passed by. The client NAC has none: it is never called. */
  keyOf(destination: number): KeyMaterial | undefined {
    return this.addresses.isCalled(destination) ? this.own.get(destination) : this.relay.cached(destination);
  }

  /** This node itself wants the key. */
  ask(nowUs: number, destination: number, nonce: Uint8Array): void {
    this.pass(nowUs, destination, ASKED_BY_US, nonce, HOP_LIMIT);
  }

  handleRequest(nowUs: number, link: number, hops: number, bytes: Uint8Array, at: number, length: number): void {
    const request = readKeyRequest(this.plane.session.networkId, bytes, at, length);
    if (typeof request === "string" || request.kind !== KeyKind.nac) return this.plane.drop("malformed");
    const destination = this.plane.ports.dictionary.find(request.target);
    const known = this.keyOf(destination);
    if (known !== undefined) {
      const answer = answerKeyRequest(request, known);
      if (!this.links().sendKeyPacket(link, RecordKind.keyResponse, 0, answer)) this.plane.drop("linkDown");
      return;
    }
    if (destination < 0 || this.addresses.isLocal(destination)) return this.plane.drop("noRoute");
    if (hops <= 1) return this.plane.drop("hopLimit");
    this.pass(nowUs, destination, link, request.nonce, Math.min(hops, HOP_LIMIT) - 1);
  }

  handleResponse(nowUs: number, bytes: Uint8Array, at: number, length: number): void {
    const { suite, networkId } = this.plane.session;
    const key = verifyKeyResponse(suite, networkId, bytes, at, length);
    if (typeof key === "string") return this.plane.refuse(key, "badKey");
    if (key.kind !== "nac") return this.plane.refuse("stray", "badKey");
    const destination = this.plane.ports.dictionary.find(key.nac);
    if (destination < 0 || !this.relay.isAsked(destination)) return this.plane.refuse("stray");
    this.relay.store(destination, key.material);
    for (const asker of this.relay.answer(destination)) {
      if (asker.link === ASKED_BY_US) {
        this.onKey(nowUs, destination, key.material);
        continue;
      }
      const request = buildKeyRequest(networkId, key.nac, asker.nonce);
      const parsed = readKeyRequest(networkId, request, 0, request.length);
      if (typeof parsed === "string") continue;
      this.links().sendKeyPacket(asker.link, RecordKind.keyResponse, 0, answerKeyRequest(parsed, key.material));
    }
  }

  digest(into: Digest): void {
    this.relay.digest(into);
  }

  /** Passes a request on: the best route first, a repeat to the next backup. */
  private pass(nowUs: number, destination: number, from: number, nonce: Uint8Array, hops: number): void {
    const route = this.plane.routing.route(destination);
    const ways =
      route === undefined ? [] : [route.nextHop, ...route.backups].filter((link) => link >= 0 && link !== from);
    const host = from === ASKED_BY_US ? this.plane.routing.hostLink : -1;
    if (ways.length === 0 && host >= 0) ways.push(host);
    if (ways.length === 0) return this.plane.drop("noRoute");
    const attempt = this.relay.ask(nowUs, destination, from, nonce);
    if (attempt === "wait") return;
    if (attempt === "full") return this.plane.drop("keyLimit");
    const link = ways[attempt % ways.length]!;
    const target = this.plane.ports.dictionary.bytesOf(destination);
    const request = buildKeyRequest(this.plane.session.networkId, target, nonce);
    if (!this.links().sendKeyPacket(link, RecordKind.keyRequest, hops, request)) this.plane.drop("linkDown");
  }
}
