import { useDeferredValue } from "react";
import { Link } from "wouter";
import { type UserFilter, UsersDocument } from "../graphql/generated.ts";
import { useLiveQuery } from "../graphql/use-live-query.ts";
import { SearchBox } from "../ui/fields.tsx";
import { Page } from "../ui/page.tsx";
import { Pager } from "../ui/pager.tsx";
import { Answered, Nothing } from "../ui/states.tsx";
import { TableBox } from "../ui/table-box.tsx";
import { useAddress } from "../ui/use-address.ts";
import { usePage } from "../ui/use-page.ts";
import { When } from "../ui/when.tsx";

const PAGE = 25;

export default function Users() {
  const [search, setSearch] = useAddress("search");
  const [page, setPage] = usePage();
  const asked = useDeferredValue(search.trim());
  const answer = useLiveQuery(UsersDocument, {
    filter: filterOf(asked),
    first: PAGE,
    offset: page * PAGE,
  });
  return (
    <Page title="Users">
      <search className="filters">
        <SearchBox
          label="Search"
          placeholder="Number, e-mail or phone"
          value={search}
          onChange={setSearch}
        />
      </search>
      <Answered answer={answer}>
        {({ users }) => {
          const rows = (users?.nodes ?? []).filter((user) => user !== null);
          return (
            <>
              {rows.length === 0 ? (
                <Nothing title="No user matches.">
                  Search by number, or by the beginning of an e-mail address or phone number.
                </Nothing>
              ) : (
                <TableBox label="Users">
                  <table>
                    <thead>
                      <tr>
                        <th scope="col">User</th>
                        <th scope="col">Time zone</th>
                        <th scope="col">Since</th>
                      </tr>
                    </thead>
                    <tbody>
                      {rows.map((user) => (
                        <tr key={user.id}>
                          <td className="wide">
                            <Link href={`/users/${user.id}`} className="row-link">
                              {[user.firstName, user.lastName].filter(Boolean).join(" ")}
                            </Link>
                            <span className="sub">
                              #{user.id} · {user.email ?? user.phone ?? "no address"}
                              {user.isDeleted ? " · closed" : ""}
                            </span>
                          </td>
                          <td>{user.timezone}</td>
                          <td>
                            <When at={user.createdAt} />
                          </td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </TableBox>
              )}
              <Pager page={page} hasNext={Boolean(users?.pageInfo.hasNextPage)} onGo={setPage} />
            </>
          );
        }}
      </Answered>
    </Page>
  );
}

function filterOf(search: string): UserFilter | null {
  if (search === "") return null;
  if (/^[1-9]\d{0,8}$/.test(search)) return { id: { equalTo: Number(search) } };
  return {
    or: [{ email: { startsWithInsensitive: search } }, { phone: { startsWith: search } }],
  };
}
