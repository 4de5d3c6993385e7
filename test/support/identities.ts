import { expect } from "vitest";
import type { Account, TestApi } from "./api.ts";

/** Two users, each with an item of their own. */
export async function annAndBob(api: TestApi): Promise<{ ann: Account; bob: Account }> {
  const ann = await api.signUp("ann@example.com");
  const bob = await api.signUp("bob@example.com");
  for (const [{ token }, title] of [
    [ann, "Ann's"],
    [bob, "Bob's"],
  ] as const) {
    await api.graphql(
      `mutation { createItem(input: {item: {title: "${title}"}}) { item { id } } }`,
      { token },
    );
  }
  return { ann, bob };
}

/** 1,000 requests of the two and of nobody, 20 at once, every seventh an error: each sees their own row alone. */
export async function expectNoLeak(api: TestApi, ann: Account, bob: Account): Promise<void> {
  const query = "{ me { id email } items { nodes { title userId } } }";
  const failing = 'mutation { createItem(input: {item: {title: ""}}) { item { id } } }';
  const seen = { ann: 0, bob: 0, nobody: 0, errors: 0 };
  const ask = async (i: number) => {
    const person = [ann, bob, undefined][i % 3];
    if (i % 7 === 0) {
      const { errors } = await api.graphql(failing, { token: person?.token });
      expect(errors[0]?.extensions.code).toBe(person ? "BAD_USER_INPUT" : "UNAUTHENTICATED");
      seen.errors += 1;
      return;
    }
    const { data, errors } = await api.graphql(query, { token: person?.token });
    if (!person) {
      expect(data.me).toBeNull();
      expect(data.items).toBeNull();
      expect(errors[0]?.extensions.code).toBe("UNAUTHENTICATED");
      seen.nobody += 1;
      return;
    }
    expect(errors).toEqual([]);
    expect(data.me).toEqual({ id: person.userId, email: person.email });
    expect(data.items.nodes).toEqual([
      { title: person === ann ? "Ann's" : "Bob's", userId: person.userId },
    ]);
    seen[person === ann ? "ann" : "bob"] += 1;
  };
  for (let batch = 0; batch < 1000; batch += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, i) => ask(batch + i)));
  }
  expect(Object.values(seen).every((count) => count > 100)).toBe(true);
  expect(Object.values(seen).reduce((sum, count) => sum + count)).toBe(1000);
}
