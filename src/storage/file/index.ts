/** Durable storage in a directory, and the tools that look at one from outside. */
export { fileStorage } from "./file-storage.js";
export type { FileStorageOptions } from "./options.js";
export type { File, FileSystem, OpenMode } from "./fs.js";
export type { Lock, LockHolder } from "./lock.js";
