/**
 * What works on an open directory, loaded when the first one is opened: a fifth of the library, which
 * clients and groups in memory do without.
 */
export { asideKind, copyBeside } from "./copy.js";
export { nodeFileSystem } from "./fs.js";
export { openDirectory } from "./open.js";
export { Relocation } from "./relocation.js";
export { SnapshotStore } from "./snapshot-store.js";
export { SpaceWatch } from "./space.js";
export { Wal } from "./wal.js";
