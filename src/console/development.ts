/** What `npm start` and `npm run dev` write into the page; absent everywhere else. */
interface Development {
  demo: { identifier: string; password: string };
  phones: boolean;
  graphiql: boolean;
  /** Whether something follows current.sql. */
  saves: boolean;
}

const told = document.querySelector<HTMLMetaElement>('meta[name="howdah-development"]')?.content;

export const development: Development | undefined =
  told === undefined ? undefined : (JSON.parse(told) as Development);
