/**
 * What a stack may rely on from whatever carries its datagrams. The real UDP port and the simulated network each bring a
 * world of such ports; datagram-port.test.ts asks both the same.
 */
export interface Port {
  /** The path to where another port is seen, or to a remote where nobody is; -1 when all paths are in use. */
  pathTo(remote: Remote): number;
  send(path: number, bytes: Uint8Array, at: number, length: number): void;
  /** What arrived, oldest first. */
  readonly arrivals: { readonly path: number; readonly bytes: Uint8Array }[];
  isPathInUse: (path: number) => boolean;
  /** Datagrams dropped because every path was in use. */
  readonly pathsFull: number;
}

/** Whatever the world means by an address: made by the world, read by its ports. */
export type Remote = { readonly host: string; readonly port: number };

export interface PortWorld {
  open(): Promise<Port>;
  /** Where others reach the port. */
  remoteOf(port: Port): Promise<Remote>;
  /** The `n`th of many remotes where nobody listens. */
  nobody(n: number): Remote;
  /** Until `isDone`, or until nothing more can come. */
  settle(isDone: () => boolean): Promise<void>;
  close(): Promise<void>;
  readonly pathsMax: number;
}
