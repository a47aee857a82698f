/**
 * The process of a daemon under test, `subject-program DIRECTORY PEER...`: the daemon as `mariana up` starts it, and beside it
 * somebody who reads its memory and its processor time. To be run with --expose-gc.
 */
import { heapAllocator } from "../../core/collections/table-allocator.js";
import { directoryOf } from "../config/directory.js";
import { parsePeer } from "../config/endpoint.js";
import { Daemon } from "../daemon.js";
import { serve } from "./program.js";
import { countTables } from "./table-count.js";

export interface SubjectFigures {
  readonly neighbours: number;
  readonly routes: number;
  /** Of the columns that routing took from its allocator and did not give back. */
  readonly tableBytes: number;
  /** Heap in use and memory beside it, right after a collection. */
  readonly heapBytes: number;
  readonly residentBytes: number;
  /** User and system, since the start of the process. */
  readonly cpuSeconds: number;
  readonly atSeconds: number;
}

const [directory = "", ...peers] = process.argv.slice(2);
const tables = countTables(heapAllocator);
const daemon = await Daemon.start({
  directory: directoryOf(directory, {}),
  http: "off",
  socks: "off",
  peers: peers.map((peer) => parsePeer(peer)!),
  hosts: [],
  rotate: false,
});

serve(
  {
    figures: (): SubjectFigures => ({ ...counts(), ...times(), heapBytes: 0 }),
    nacs: () => daemon.routes().map(({ nac }) => nac),
    weigh: (): SubjectFigures => {
      const before = times(); // of the daemon, not of the collections
      globalThis.gc!();
      globalThis.gc!();
      const { heapUsed, external } = process.memoryUsage();
      return { ...counts(), ...before, heapBytes: heapUsed + external, residentBytes: process.memoryUsage.rss() };
    },
  },
  () => daemon.stop(),
);

function counts(): Pick<SubjectFigures, "neighbours" | "routes" | "tableBytes"> {
  const { neighbours, routes } = daemon.status();
  return { neighbours, routes, tableBytes: tables.bytes };
}

function times(): Pick<SubjectFigures, "residentBytes" | "cpuSeconds" | "atSeconds"> {
  const { user, system } = process.cpuUsage();
  return {
    residentBytes: process.memoryUsage.rss(),
    cpuSeconds: (user + system) / 1e6,
    atSeconds: performance.now() / 1000,
  };
}
