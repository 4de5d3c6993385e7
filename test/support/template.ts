import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import { asSuperuser } from "./database.ts";

/** A database as the FastAPI template that Howdah replaces makes it. */
export interface TemplateDatabase {
  url: string;
  pool: pg.Pool;
  drop(): Promise<void>;
}

export const TEMPLATE_SCHEMA = `
  create type oauth2provider as enum ('google', 'github', 'facebook');
  create table users (
    id serial primary key,
    first_name varchar not null,
    last_name varchar,
    email varchar unique,
    email_verified boolean default false,
    phone varchar unique,
    phone_verified boolean default false,
    picture varchar,
    password_hash varchar,
    reset_token varchar,
    reset_token_expires timestamptz,
    created_at timestamptz default now(),
    last_logged_in timestamptz,
    timezone varchar not null default 'UTC',
    deleted_at timestamptz,
    is_deleted boolean default false
  );
  create table refresh_tokens (
    id serial primary key,
    user_id int references users on delete cascade,
    token varchar not null unique,
    device_info varchar,
    expires_at timestamptz not null,
    is_revoked boolean default false,
    created_at timestamptz default now(),
    last_used_at timestamptz
  );
  create table device_tokens (
    id serial primary key,
    user_id int references users on delete cascade,
    token varchar not null unique,
    device_type varchar not null,
    created_at timestamptz default now(),
    updated_at timestamptz
  );
  create table notifications (
    id serial primary key,
    users int[] not null,
    event varchar not null,
    message varchar not null,
    created_at timestamptz default now(),
    sent_status boolean default false
  );
  create table oauth2_credentials (
    id serial primary key,
    user_id int references users on delete cascade,
    provider oauth2provider not null,
    email varchar not null,
    access_token varchar,
    refresh_token varchar,
    token_expiry timestamptz,
    created_at timestamptz default now(),
    updated_at timestamptz
  );
  create table items (
    id serial primary key,
    user_id int references users on delete cascade,
    title varchar not null,
    description text,
    data json,
    is_active boolean default true,
    created_at timestamptz default now(),
    updated_at timestamptz
  );
  create table alembic_version (version_num varchar(32) primary key);`;

/** A second database of the test cluster, with this schema, by default the template's. */
export async function createTemplateDatabase(schema = TEMPLATE_SCHEMA): Promise<TemplateDatabase> {
  const name = `template_${randomBytes(6).toString("hex")}`;
  await asSuperuser(`create database ${name}`);
  const url = new URL(inject("superuserUrl"));
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href, max: 2 });
  pool.on("error", () => {
    // `drop` ends it.
  });
  await pool.query(schema);
  return {
    url: url.href,
    pool,
    async drop() {
      await pool.end();
      await asSuperuser(`drop database ${name} with (force)`);
    },
  };
}
