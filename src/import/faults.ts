/** Why an import cannot go on, in one line for the person at the keyboard. Nothing was changed. */
export class ImportError extends Error {
  override name = "ImportError";
}

interface DatabaseFault {
  code?: string;
  message?: string;
  table?: string;
  column?: string;
  constraint?: string;
}

/** Which side it was; no URL, because that may hold a password. */
export function sourceFault(error: unknown, server: string): ImportError {
  return asImportError(error, ({ code, message }) => {
    const source = `the old database at ${server}`;
    switch (code) {
      case "ECONNREFUSED":
      case "ENOTFOUND":
      case "EAI_AGAIN":
      case "ETIMEDOUT":
      case "EHOSTUNREACH":
        return `${source} is not reachable (${code}). Check the URL of --from.`;
      case "28P01":
      case "28000":
        return `${source} refuses this user or password. Check the URL of --from.`;
      case "3D000":
        return `${source} does not exist. Check the name in the URL of --from.`;
      case "42501":
        return `${source} lets this user not read all of its tables.`;
      case undefined:
        if (message?.includes("password must be")) return `${source} asks for a password.`;
        return `${source} cannot be read: ${message ?? "no answer"}.`;
      default:
        return `${source} cannot be read (${code}).`;
    }
  });
}

/** What PostgreSQL says of values stays unsaid: they may be anybody's. */
export function targetFault(error: unknown): ImportError {
  return asImportError(error, (fault) => {
    switch (fault.code) {
      case "55P03":
      case "40P01":
        return "Howdah's tables are in use. Stop API and worker, or try again.";
      default:
        return `the import failed, and nothing was changed: ${whereOf(fault)}.`;
    }
  });
}

function whereOf({ code, message, table, column, constraint }: DatabaseFault): string {
  // Not from PostgreSQL, so not about a value.
  if (code === undefined) return message ?? "no reason given";
  const place = [table && `table ${table}`, column && `column ${column}`, constraint]
    .filter(Boolean)
    .join(", ");
  return `PostgreSQL refused it with ${code}${place ? ` (${place})` : ""}`;
}

function asImportError(error: unknown, say: (fault: DatabaseFault) => string): ImportError {
  if (error instanceof ImportError) return error;
  return new ImportError(say((error ?? {}) as DatabaseFault), { cause: error });
}
