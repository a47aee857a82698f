import { printNac } from "../core/address/nac.js";
import { sameBytes } from "../core/collections/bytes.js";
import type { Directory } from "./config/directory.js";
import { eraseFormerKeys } from "./config/former-identity.js";
import type { OpenedIdentity } from "./config/identity-files.js";
import { type State, writeState } from "./config/state-file.js";
import { messageOf, systemCode } from "./failure.js";
import type { Log } from "./log.js";

/** Keeps on disk what must outlive the daemon: the epoch of each NAC; and what must not: the former identity's keys. */
export class IdentityUpkeep {
  private readonly directory: Directory;
  private readonly log: Log;
  private readonly opened: OpenedIdentity;
  /** As it is in state.json. */
  private state: State;
  private isFormerErased = false;

  constructor(directory: Directory, opened: OpenedIdentity, log: Log) {
    this.directory = directory;
    this.log = log;
    this.opened = opened;
    this.state = opened.state;
  }

  /** Null when this node answers by no other NAC than its own. */
  get formerNac(): string | null {
    const { former } = this.opened;
    return former === undefined || this.isFormerErased ? null : printNac(former.identity.nac);
  }

  /** Throws where `keepEpoch` would: better at the start than when the first neighbour comes. */
  probe(): void {
    writeState(this.directory.stateFile, this.state);
  }

  /** On disk before it returns. `nac` is ours or the former one. */
  keepEpoch(nac: Uint8Array, epoch: number): void {
    const { state } = this;
    if (sameBytes(nac, this.opened.identity.nac)) this.state = { ...state, epoch };
    else if (state.former !== undefined) this.state = { ...state, former: { ...state.former, epoch } };
    writeState(this.directory.stateFile, this.state);
  }

  /** The stack answers by the former NAC no longer. */
  eraseFormer(): void {
    this.isFormerErased = true;
    const { former } = this.opened;
    former?.identity.kem.secretKey.fill(0);
    former?.identity.signature.secretKey.fill(0);
    const file = this.directory.formerKeyFile;
    try {
      this.state = eraseFormerKeys(this.directory, this.state);
      this.log.info("key.erased", { file, reason: "expired" });
    } catch (error) {
      this.log.warn("key.notErased", { file, error: systemCode(error) ?? messageOf(error) }); // the next start does it
    }
  }
}
