import { Agent } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { type Answer, ask, CREATE, SIGN_UP } from "../../support/load.ts";
import { openSocket } from "../../support/subscriptions.ts";
import { emptyTally, type FromClient, type Tally, type ToClient } from "./tally.ts";

// A client process of the soak: people who read, write, refresh, listen and push, each in turn at one of
// the API's processes. Arguments: a name, and the URLs.

const PEOPLE = 6;
/** Between two things that one person does, milliseconds. */
const PAUSE = 150;
/** A change is told within this, milliseconds, unless the subscription ends. */
const EVENT_TIME = 15_000;

const [name = "", ...urls] = process.argv.slice(2);
let tally: Tally = emptyTally();
let isOver = false;

const fail = (code: string) => {
  tally.failed[code] = (tally.failed[code] ?? 0) + 1;
};
const tell = (message: FromClient) => process.send?.(message);

class Person {
  userId = 0;
  readonly #number: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2 });
  #accessToken = "";
  #refreshToken = "";
  #phone = "";
  #rounds = 0;
  /** Changes that the subscription has told, and that it is still to tell. */
  #told = new Set<string>();
  /** Grows with each subscription: what was done under an older one may be missed, and is fetched. */
  #epoch = 0;
  #isListening = false;

  constructor(number: number) {
    this.#number = number;
  }

  get #url(): string {
    return urls[(this.#number + this.#rounds) % urls.length] as string;
  }

  async #ask(
    query: string,
    variables = {},
    token: string = this.#accessToken,
  ): Promise<Answer | undefined> {
    try {
      const answer = await ask(this.#url, query, { token, agent: this.#agent, variables });
      if (answer.codes.length === 0) {
        tally.answered += 1;
        return answer;
      }
      fail(answer.codes[0] as string);
      if (answer.codes[0] === "SESSION_REVOKED") tally.lostSessions += 1;
    } catch (error) {
      fail((error as NodeJS.ErrnoException).code ?? (error as Error).message);
    }
    return undefined;
  }

  async join(): Promise<void> {
    const email = `${name}-${this.#number}@example.com`;
    const answer = await this.#ask(SIGN_UP, { email }, "");
    const { userId, accessToken, refreshToken } = answer?.data.signUp.tokens ?? {};
    this.userId = userId;
    this.#accessToken = accessToken;
    this.#refreshToken = refreshToken;
    await this.#registerPhone();
  }

  async live(): Promise<void> {
    // The first refresh makes whoever was promoted meanwhile an operator.
    await this.#refresh();
    const listening = this.#listen();
    while (!isOver) {
      this.#rounds += 1;
      await this.#create();
      await this.#read();
      if (this.#rounds % 4 === 0) await this.#push();
      if (this.#rounds % 10 === 0) await this.#refresh();
      await delay(PAUSE * (0.5 + Math.random()));
    }
    await listening;
    this.#agent.destroy();
  }

  async #create(): Promise<void> {
    const title = `${this.userId}-${this.#rounds}`;
    const epoch = this.#isListening ? this.#epoch : -1;
    const answer = await this.#ask(CREATE, { title });
    if (!answer) return;
    tally.items.push(title);
    if (answer.data.createItem.item.userId !== this.userId) tally.mixedUp += 1;
    setTimeout(() => {
      if (epoch === this.#epoch && this.#isListening && !this.#told.has(title)) tally.gaps += 1;
      this.#told.delete(title);
    }, EVENT_TIME).unref();
  }

  async #read(): Promise<void> {
    const answer = await this.#ask("{ me { id } items(first: 5) { nodes { userId title } } }");
    if (!answer) return;
    const { me, items } = answer.data;
    const isOwn = (item: { userId: number; title: string }) =>
      item.userId === this.userId && item.title.startsWith(`${this.userId}-`);
    // Operators see all: they have none of these.
    if (me?.id !== this.userId || !items.nodes.every(isOwn)) tally.mixedUp += 1;
  }

  /** Where there is no answer, the same token is shown again: its successor may be on its way. */
  async #refresh(): Promise<void> {
    const answer = await this.#ask(
      `mutation ($token: String!) { refreshTokens(input: {refreshToken: $token}) {
        tokens { userId accessToken refreshToken } } }`,
      { token: this.#refreshToken },
      "",
    );
    if (!answer) return;
    const { userId, accessToken, refreshToken } = answer.data.refreshTokens.tokens;
    if (userId !== this.userId) tally.mixedUp += 1;
    this.#accessToken = accessToken;
    this.#refreshToken = refreshToken;
  }

  async #registerPhone(): Promise<void> {
    const phone = `${name}-${this.#number}`;
    const answer = await this.#ask(
      `mutation ($token: String!) { registerDevice(input: {token: $token, deviceType: WEB}) { deviceToken { id } } }`,
      { token: phone },
    );
    if (answer) this.#phone = phone;
  }

  async #push(): Promise<void> {
    if (this.#phone === "") return this.#registerPhone();
    const text = `${this.#phone} ${this.#rounds}`;
    const answer = await this.#ask(
      `mutation ($id: Int!, $text: String!) { sendNotification(input: {users: [$id], event: "soak", message: $text}) {
        notification { id } } }`,
      { id: this.userId, text },
    );
    if (!answer) return;
    tally.pushes.push(text);
  }

  async #listen(): Promise<void> {
    while (!isOver) {
      const socket = openSocket(this.#url, { authorization: `Bearer ${this.#accessToken}` });
      const changes = socket.subscribe(
        "subscription { itemChanged(initialEvent: true) { item { title userId } } }",
      );
      const lost = Promise.race([socket.closed, changes.ended]).then(() => undefined);
      for (;;) {
        const event = await Promise.race([changes.next(3_600_000).catch(() => undefined), lost]);
        if (!event || isOver) break;
        if (!this.#isListening) {
          this.#epoch += 1;
          this.#isListening = true;
        }
        const { item } = (event.data?.itemChanged ?? {}) as {
          item?: { title: string; userId: number } | null;
        };
        if (!item) continue;
        tally.events += 1;
        this.#told.add(item.title);
        if (item.userId !== this.userId) tally.mixedUp += 1;
      }
      this.#isListening = false;
      socket.close();
      if (!isOver) await delay(200);
    }
  }
}

const people = Array.from({ length: PEOPLE }, (_, n) => new Person(n));
for (const person of people) await person.join();
const lives = Promise.withResolvers<void>();
process.on("message", (message: ToClient) => {
  if (message === "stop") isOver = true;
  if (message === "tally") {
    tell({ tally });
    tally = emptyTally();
    lives.resolve();
  }
});
tell({ people: people.map(({ userId }) => userId) });
// Whoever has begun this has made them operators by now: it asks for a first tally then.
await lives.promise;
await Promise.race([
  Promise.all(people.map((person) => person.live())),
  new Promise((resolve) => process.once("disconnect", resolve)),
]);
process.exit(0);
