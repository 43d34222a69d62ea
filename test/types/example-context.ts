/** What examples may take as given: they show one thing and leave out what leads to it. */
import type { AnyDefinedValue, GroupHandle, Host } from "../../src/index.js";
import type {
  ConnectionHandlers,
  GroupIdentity,
  Random,
  StorageHandlers,
  StoreBatch,
} from "../../src/ports.js";
import type { WorkloadCall } from "../../src/sim/index.js";
import { queue } from "./define-value.js";

export { queue };

export declare const counter: AnyDefinedValue;
export declare const host: Host;
export declare const group: GroupHandle<typeof queue>;
export declare const signal: AbortSignal;
export declare const listen: string;
export declare const text: string;
export declare const draw: (random: Random) => WorkloadCall;
export declare const handlers: ConnectionHandlers & StorageHandlers;
export declare const identity: GroupIdentity;
export declare const hardState: StoreBatch["hardState"];
export declare const entries: StoreBatch["entries"];
