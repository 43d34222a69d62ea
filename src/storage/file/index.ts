/** Durable storage in a directory, and the tools that look at one from outside. */
export { fileStorage } from "./file-storage.js";
export type { FileStorageOptions } from "./options.js";
export { inspectDirectory } from "./inspect.js";
export type { InspectOptions, InspectedGroup, InspectedSegment, Inspection } from "./inspect.js";
export { doctorDirectory } from "./doctor.js";
export type { Diagnosis, DoctorOptions, Problem } from "./doctor.js";
export type { Finding } from "./scan.js";
export type { File, FileSystem, OpenMode } from "./fs.js";
export type { Lock, LockHolder } from "./lock.js";
