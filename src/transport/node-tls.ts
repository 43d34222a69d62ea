/** Node's `tls`, loaded where TLS is asked for: most groups run without, and it takes some milliseconds. */
import { createRequire } from "node:module";
import type * as tls from "node:tls";

// Any absolute path will do: nothing but a part of Node is asked for.
const require = createRequire(process.execPath);

export function nodeTls(): typeof tls {
  return require("node:tls") as typeof tls;
}
