/**
 * A flow of datagrams between an application here and one overlay port: what UDP is to an OverlayStream's TCP. Datagrams
 * come whole, in any order, or never; nothing tells which. A flow ends when it is closed, or after 60 s without a datagram.
 *
 * SOCKS5 UDP ASSOCIATE takes one of `driver.openFlow` per (client's address, target); a `udp:` target takes those that
 * `driver.onDatagramFlow` hands out, one UDP socket each.
 */

/** What a flow asks of the stack. `flow` is the stack's handle. */
export interface FlowCommands {
  sendDatagram(flow: number, bytes: Uint8Array): boolean;
  closeFlow(flow: number): void;
}

export class DatagramFlow {
  /** One datagram; the bytes are the taker's to keep. */
  onDatagram: (bytes: Buffer) => void = () => undefined;
  /** Idle for too long, or gone with the session of a caller. Not called after `close`. */
  onClose: () => void = () => undefined;
  private readonly commands: FlowCommands;
  private readonly handle: number;
  private closed = false;

  /** @param handle -1: there is no such flow, and what is sent into it goes nowhere */
  constructor(commands: FlowCommands, handle: number) {
    this.commands = commands;
    this.handle = handle;
    this.closed = handle < 0;
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** False when it cannot be sent: larger than 1,004 bytes, or the flow is closed. True promises nothing. */
  send(bytes: Uint8Array): boolean {
    return !this.closed && this.commands.sendDatagram(this.handle, bytes);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.commands.closeFlow(this.handle);
  }

  /** The driver's: the stack forgot the flow. */
  handleClosed(): void {
    if (this.closed) return;
    this.closed = true;
    this.onClose();
  }
}
