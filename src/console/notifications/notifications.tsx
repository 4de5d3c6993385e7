import { useDeferredValue } from "react";
import { Link } from "wouter";
import { type NotificationStatus, NotificationsDocument } from "../graphql/generated.ts";
import { useLiveQuery } from "../graphql/use-live-query.ts";
import { Choice, SearchBox } from "../ui/fields.tsx";
import { Page } from "../ui/page.tsx";
import { Pager } from "../ui/pager.tsx";
import { Answered, Nothing } from "../ui/states.tsx";
import { count } from "../ui/status.tsx";
import { useAddress } from "../ui/use-address.ts";
import { usePage } from "../ui/use-page.ts";
import { NotificationTable } from "./notification-table.tsx";

const PAGE = 25;

const STATUSES = [
  ["", "Any"],
  ["SCHEDULED", "Scheduled"],
  ["SENDING", "Sending"],
  ["SENT", "Sent"],
  ["PARTIAL", "Partial"],
  ["FAILED", "Failed"],
  ["NO_DEVICES", "No devices"],
  ["CANCELED", "Canceled"],
  ["EXPIRED", "Expired"],
] as const;

export default function Notifications() {
  const [search, setSearch] = useAddress("search");
  const [status, setStatus] = useAddress("status");
  const [page, setPage] = usePage();
  const offset = page * PAGE;
  const asked = useDeferredValue(search);
  const answer = useLiveQuery(NotificationsDocument, {
    // As the page writes a number.
    search: asked.trim().replace(/^#(?=\d+$)/, ""),
    statuses: status === "" ? null : [status as NotificationStatus],
    first: PAGE,
    offset,
  });
  return (
    <Page
      title="Notifications"
      actions={
        <Link href="/compose" className="button primary">
          Compose
        </Link>
      }
    >
      <search className="filters">
        <SearchBox
          label="Search"
          placeholder="Number, event or words"
          value={search}
          onChange={setSearch}
        />
        <Choice
          label="Status"
          value={status as (typeof STATUSES)[number][0]}
          onChange={setStatus}
          options={STATUSES}
        />
      </search>
      <Answered answer={answer}>
        {({ searchNotifications }) => {
          const rows = (searchNotifications?.nodes ?? []).filter((row) => row !== null);
          return (
            <>
              {rows.length === 0 ? (
                <Nothing title="No notification matches.">
                  Search for fewer words, or choose another status.
                </Nothing>
              ) : (
                <NotificationTable
                  rows={rows}
                  more={{
                    title: "Accepted",
                    of: ({ statistics }) => (
                      <span className="number">
                        {count(statistics.accepted)} of {count(statistics.deliveries)}
                      </span>
                    ),
                  }}
                />
              )}
              <Pager
                page={page}
                hasNext={Boolean(searchNotifications?.pageInfo.hasNextPage)}
                onGo={setPage}
              />
            </>
          );
        }}
      </Answered>
    </Page>
  );
}
