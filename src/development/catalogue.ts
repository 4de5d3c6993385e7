/** What the rules of src/rules find in the database, for the terminal. */
export async function checkCatalogue(_databaseUrl: string): Promise<string | undefined> {
  return undefined;
}
