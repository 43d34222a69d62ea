/** What the tools of an operator need of data directories and backups. */
export { createBackup, refuseExisting } from "./backup-file.js";
export { doctorDirectory } from "./doctor.js";
export { inspectDirectory } from "./inspect.js";
export type { BackupDescription } from "./backup-file.js";
export { checkEmpty } from "./new-directory.js";
export { rankSurvivors, recoverDirectory } from "./recover-directory.js";
export type { Ranking, Survivor } from "./recover-directory.js";
export { restoreDirectory } from "./restore-directory.js";
export type { Founder, Restored } from "./restore-directory.js";
export { setGroupAside } from "./set-aside.js";
export type { SetAside } from "./set-aside.js";
