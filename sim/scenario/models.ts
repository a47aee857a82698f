/** Link models of a plan, each once, and how a link of the file becomes one. */
import { NAT_PROFILES, type NatProfile } from "../network/nat-profiles.js";
import { type LinkModel, type Nat, NEUTRAL } from "../plan/plan.js";
import { pathName } from "./complaint.js";
import type { Link, LinkOrClass } from "./links.js";
import { nearest } from "./nearest.js";
import type { ScenarioData } from "./schema.js";

const BETWEEN_NODES: LinkModel = { ...NEUTRAL, delayUs: 10_000 };
const LAN: LinkModel = { ...NEUTRAL, delayUs: 500 };

export class Models {
  readonly all: LinkModel[] = [];
  readonly #indexes = new Map<string, number>();
  readonly #data: ScenarioData;
  readonly #complain: (path: readonly PropertyKey[], message: string) => void;
  readonly base: LinkModel;

  constructor(data: ScenarioData, complain: (path: readonly PropertyKey[], message: string) => void) {
    this.#data = data;
    this.#complain = complain;
    this.base = built(BETWEEN_NODES, data.links.default);
    this.add(this.base); // the default is model 0
  }

  add(model: LinkModel): number {
    const key = JSON.stringify(model);
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    this.all.push(model);
    this.#indexes.set(key, this.all.length - 1);
    return this.all.length - 1;
  }

  /** -1 when there is none. */
  access(link: LinkOrClass | undefined, path: readonly PropertyKey[]): number {
    return link === undefined ? -1 : this.add(built(NEUTRAL, this.#linkOf(link, path)));
  }

  lan(link: LinkOrClass | undefined, path: readonly PropertyKey[]): number {
    return this.add(link === undefined ? LAN : built(LAN, this.#linkOf(link, path)));
  }

  /** Of a single pair: without a latency of its own it is as far as its regions are. */
  pair(link: LinkOrClass, regionsUs: number, path: readonly PropertyKey[]): number {
    const said = this.#linkOf(link, path);
    const model = built(this.base, said);
    return this.add(said.latency === undefined ? { ...model, delayUs: model.delayUs + regionsUs } : model);
  }

  nat(name: string, address: number, path: readonly PropertyKey[]): Nat {
    const own = Object.hasOwn(this.#data.nats, name) ? this.#data.nats[name] : undefined;
    const preset = NAT_PROFILES[(own?.like ?? name) as keyof typeof NAT_PROFILES] as NatProfile | undefined;
    if (preset === undefined) {
      const known = [...Object.keys(this.#data.nats), ...Object.keys(NAT_PROFILES)];
      this.#complain(path, `${pathName(path)}: there is no NAT profile "${name}"${hint(name, known)}`);
    }
    const base = preset ?? NAT_PROFILES.home;
    return {
      address,
      mapping: own?.mapping ?? base.mapping,
      filtering: own?.filtering ?? base.filtering,
      portChoice: own?.ports ?? base.portChoice,
      hairpin: own?.hairpin ?? base.hairpin,
      timeoutUs: own?.timeout ?? base.timeoutUs,
      inboundRefresh: own?.inboundRefresh ?? base.inboundRefresh,
      udpBlocked: own?.udpBlocked ?? base.udpBlocked,
      mappingsMax: own?.mappings ?? base.mappingsMax,
      access: this.access(own?.access, ["nats", name, "access"]),
    };
  }

  #linkOf(link: LinkOrClass, path: readonly PropertyKey[]): Link {
    if (typeof link !== "string") return link;
    const { classes } = this.#data.links;
    if (Object.hasOwn(classes, link)) return classes[link]!;
    this.#complain(path, `${pathName(path)}: there is no link class "${link}"${hint(link, Object.keys(classes))}`);
    return {};
  }
}

function hint(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  return near === undefined ? "" : `; nearest: "${near}"`;
}

function built(base: LinkModel, link: Link): LinkModel {
  const { burst } = link;
  return {
    delayUs: link.latency ?? base.delayUs,
    jitterUs: link.jitter ?? base.jitterUs,
    jitterCorrelationPpm: link.jitterCorrelation ?? base.jitterCorrelationPpm,
    lossPpm: link.loss ?? base.lossPpm,
    burst:
      burst === undefined
        ? base.burst
        : {
            toBadPpm: burst.toBad,
            toGoodPpm: burst.toGood,
            goodLossPpm: burst.goodLoss,
            badLossPpm: burst.badLoss,
          },
    duplicatePpm: link.duplicate ?? base.duplicatePpm,
    reorderPpm: link.reorder ?? base.reorderPpm,
    reorderUs: link.reorderBy ?? base.reorderUs,
    corruptPpm: link.corrupt ?? base.corruptPpm,
    rate: link.rate ?? base.rate,
    queueBytes: link.queue ?? base.queueBytes,
    mtuBytes: link.mtu ?? base.mtuBytes,
  };
}
