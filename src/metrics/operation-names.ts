/** Names that have numbers of their own: clients choose them, and must not fill the memory. */
const MAX_NAMES = 200;
const MAX_LENGTH = 80;

/**
 * The label of an operation: its name where it is among the first 200 of this process, else `other`;
 * `unnamed` without one, and `invalid` where no valid operation was found.
 */
export function createOperationNames(max = MAX_NAMES): (name: string | null) => string {
  const names = new Set<string>();
  return (name) => {
    if (name === null) return "invalid";
    if (name === "") return "unnamed";
    if (names.has(name)) return name;
    if (names.size >= max || name.length > MAX_LENGTH) return "other";
    names.add(name);
    return name;
  };
}
