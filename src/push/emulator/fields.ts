/** How a field of FCM's v1 messages is written in JSON (proto3 JSON mapping). */
export type Kind =
  | "string"
  | "boolean"
  | "integer"
  | "number"
  | "duration"
  | "strings"
  | "durations"
  | "map"
  | "struct"
  | Choice
  | Shape;

/** An enum of these names. */
export interface Choice {
  type: string;
  values: readonly string[];
}

/** An object; its fields by either of their two names, `collapse_key` and `collapseKey`. */
export interface Shape {
  type: string;
  fields: ReadonlyMap<string, { name: string; kind: Kind }>;
}

const FCM = "type.googleapis.com/google.firebase.fcm.v1.";

function shape(type: string, kinds: Record<string, Kind>): Shape {
  const fields = new Map<string, { name: string; kind: Kind }>();
  for (const [name, kind] of Object.entries(kinds)) {
    const field = { name, kind };
    fields.set(name, field);
    fields.set(
      name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      field,
    );
  }
  return { type: `${FCM}${type}`, fields };
}

const choice = (type: string, values: string[]): Choice => ({ type: `${FCM}${type}`, values });

const notification = shape("Notification", { title: "string", body: "string", image: "string" });

const color = shape("Color", { red: "number", green: "number", blue: "number", alpha: "number" });

const androidNotification = shape("AndroidNotification", {
  title: "string",
  body: "string",
  icon: "string",
  color: "string",
  sound: "string",
  tag: "string",
  click_action: "string",
  body_loc_key: "string",
  body_loc_args: "strings",
  title_loc_key: "string",
  title_loc_args: "strings",
  channel_id: "string",
  ticker: "string",
  sticky: "boolean",
  event_time: "string",
  local_only: "boolean",
  notification_priority: choice("AndroidNotification.NotificationPriority", [
    "PRIORITY_UNSPECIFIED",
    "PRIORITY_MIN",
    "PRIORITY_LOW",
    "PRIORITY_DEFAULT",
    "PRIORITY_HIGH",
    "PRIORITY_MAX",
  ]),
  default_sound: "boolean",
  default_vibrate_timings: "boolean",
  default_light_settings: "boolean",
  vibrate_timings: "durations",
  visibility: choice("AndroidNotification.Visibility", [
    "VISIBILITY_UNSPECIFIED",
    "PRIVATE",
    "PUBLIC",
    "SECRET",
  ]),
  notification_count: "integer",
  light_settings: shape("LightSettings", {
    color,
    light_on_duration: "duration",
    light_off_duration: "duration",
  }),
  image: "string",
  bypass_proxy_notification: "boolean",
  proxy: choice("AndroidNotification.Proxy", [
    "PROXY_UNSPECIFIED",
    "ALLOW",
    "DENY",
    "IF_PRIORITY_LOWERED",
  ]),
});

const android = shape("AndroidConfig", {
  collapse_key: "string",
  priority: choice("AndroidMessagePriority", ["NORMAL", "HIGH"]),
  ttl: "duration",
  restricted_package_name: "string",
  data: "map",
  notification: androidNotification,
  fcm_options: shape("AndroidFcmOptions", { analytics_label: "string" }),
  direct_boot_ok: "boolean",
  bandwidth_constrained_ok: "boolean",
  restricted_satellite_ok: "boolean",
});

const webpush = shape("WebpushConfig", {
  headers: "map",
  data: "map",
  notification: "struct",
  fcm_options: shape("WebpushFcmOptions", { link: "string", analytics_label: "string" }),
});

const apns = shape("ApnsConfig", {
  headers: "map",
  payload: "struct",
  fcm_options: shape("ApnsFcmOptions", { analytics_label: "string", image: "string" }),
  live_activity_token: "string",
});

/** The body of `messages:send`, as Google's discovery document and the SDKs have it. */
export const SEND_REQUEST = shape("SendMessageRequest", {
  validate_only: "boolean",
  message: shape("Message", {
    name: "string",
    data: "map",
    notification,
    android,
    webpush,
    apns,
    fcm_options: shape("FcmOptions", { analytics_label: "string" }),
    token: "string",
    fid: "string",
    topic: "string",
    condition: "string",
  }),
});
