import type pg from "pg";

/** What the database knows of one delivery. */
export interface DeliveryFacts {
  device: number;
  platform: string;
  status: string;
  attempts: number;
  error: string | null;
  sentAt: string | null;
  acknowledgedAt: string | null;
  nextAttemptAt: string | null;
  devicePausedUntil: string | null;
  deviceDisabledReason: string | null;
  /** Of its batch, where it is not final. */
  dueAt: string | null;
  breaker: number | null;
  /** Whether the worker lives that has its batch; null where none has. */
  isWorkerAlive: boolean | null;
  jobError: string | null;
  pause: { id: number; error: string; until: string } | null;
}

/** What the database knows of a notification and one user. */
export interface Facts {
  notification: number;
  user: number;
  status: string;
  event: string;
  audience: string | null;
  isAudienceKnown: boolean;
  sendAt: string;
  sendAtLocal: string | null;
  expiresAt: string;
  guarantee: string;
  isLedgerDropped: boolean;
  isListed: boolean;
  userGoneAt: string | null;
  userDisabledAt: string | null;
  isRecipient: boolean;
  receivedAt: string | null;
  readAt: string | null;
  /** Of a user whose turn is still to come. */
  fanOutDueAt: string | null;
  fanOutError: string | null;
  liveWorkers: number;
  liveDevices: number;
  lastDisabled: { reason: string; at: string } | null;
  deliveries: DeliveryFacts[];
}

const DELIVERIES = `
  select coalesce(jsonb_agg(jsonb_build_object(
    'device', d.device_token_id, 'platform', d.device_type, 'status', d.status,
    'attempts', d.attempts, 'error', d.error_code, 'sentAt', d.sent_at,
    'acknowledgedAt', d.acknowledged_at,
    'nextAttemptAt', case when isfinite(d.next_attempt_at) then d.next_attempt_at end,
    'devicePausedUntil', case when t.paused_until > now() then t.paused_until end,
    'deviceDisabledReason', t.disabled_reason,
    'dueAt', b.run_at, 'breaker', b.circuit_breaker_id,
    'isWorkerAlive', case when b.worker_id is not null then
      exists (select from app_private.workers w where w.id = b.worker_id and app_private.is_alive(w))
    end,
    'jobError', (
      select j.last_error from graphile_worker.jobs j where j.key = 'deliver_pushes:' || b.id
    ),
    'pause', (
      select jsonb_build_object('id', p.id, 'error', p.error_code, 'until', p.paused_until)
      from app_public.push_pauses p
      where p.ended_at is null and p.paused_until > now()
        and (p.device_type is null or p.device_type = d.device_type)
      order by p.paused_until desc limit 1
    )
  ) order by d.id), '[]')
  from app_public.notification_deliveries d
  left join app_public.device_tokens t on t.id = d.device_token_id
  left join app_private.delivery_batches b
    on b.notification_id = d.notification_id and d.id = any (b.delivery_ids)
  where d.notification_id = n.id and d.user_id = $2`;

const FACTS = `
  select jsonb_build_object(
    'notification', n.id, 'user', $2::int, 'status', n.status, 'event', n.event,
    'audience', n.audience, 'isAudienceKnown', n.is_audience_known, 'sendAt', n.send_at,
    'sendAtLocal', n.send_at_local, 'expiresAt', n.expires_at, 'guarantee', n.delivery,
    'isLedgerDropped', n.tally is not null,
    'isListed', coalesce($2 = any (n.users), false),
    'userGoneAt', u.deleted_at,
    'userDisabledAt', (select d.disabled_at from app_private.disabled_users d where d.user_id = $2),
    'isRecipient', r.user_id is not null, 'receivedAt', r.created_at, 'readAt', r.read_at,
    'fanOutDueAt', case when a.user_id is not null then coalesce(a.due_at, n.send_at) end,
    'fanOutError', (
      select j.last_error from graphile_worker.jobs j where j.key = 'fan_out_notification:' || n.id
    ),
    'liveWorkers', (select count(*) from app_private.workers w where app_private.is_alive(w)),
    'liveDevices', (
      select count(*) from app_public.device_tokens t where t.user_id = $2 and t.disabled_at is null
    ),
    'lastDisabled', (
      select jsonb_build_object('reason', t.disabled_reason, 'at', t.disabled_at)
      from app_public.device_tokens t
      where t.user_id = $2 and t.disabled_at is not null order by t.disabled_at desc limit 1
    ),
    'deliveries', (${DELIVERIES})
  ) as facts
  from app_public.notifications n
  join app_public.users u on u.id = $2
  left join app_public.notification_recipients r on r.notification_id = n.id and r.user_id = $2
  left join app_private.notification_audience a on a.notification_id = n.id and a.user_id = $2
  where n.id = $1`;

/** Undefined where there is no such notification or user. */
export async function deliveryFacts(
  database: pg.Client,
  notification: number,
  user: number,
): Promise<Facts | undefined> {
  const { rows } = await database.query<{ facts: Facts }>(FACTS, [notification, user]);
  return rows[0]?.facts;
}
