import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import type { Config } from "../config.ts";
import { PUBLIC_KEY_BLOCK } from "../config-values.ts";
import { generatedSecret } from "../generated-secrets.ts";

/** The keys of access tokens: one signs, all of them verify. */
export interface JwtKeys {
  kid: string;
  privateKey: KeyObject;
  /** By kid (RFC 7638 thumbprint). A token that names no key of these is refused. */
  publicKeys: ReadonlyMap<string, KeyObject>;
}

/** Reads the configured keys; development generates one and keeps it in DATA_DIR/secrets. */
export async function loadJwtKeys(config: Config): Promise<JwtKeys> {
  const pem =
    config.jwtPrivateKey ??
    (await generatedSecret(config.dataDirectory, "jwt-private-key.pem", () =>
      generateKeyPairSync("ec", { namedCurve: "P-256" })
        .privateKey.export({ type: "pkcs8", format: "pem" })
        .toString(),
    ));
  const privateKey = createPrivateKey(pem);
  const publicKey = createPublicKey(privateKey);
  const previous = (config.jwtPreviousPublicKeys?.match(PUBLIC_KEY_BLOCK) ?? []).map(
    createPublicKey,
  );
  const publicKeys = new Map([publicKey, ...previous].map((key) => [thumbprint(key), key]));
  return { kid: thumbprint(publicKey), privateKey, publicKeys };
}

/**
 * CREDENTIALS_KEY, then CREDENTIALS_PREVIOUS_KEYS; development generates one and keeps it in
 * DATA_DIR/secrets.
 */
export async function credentialsKeys(config: Config): Promise<[string, ...string[]]> {
  const newest =
    config.credentialsKey ??
    (await generatedSecret(config.dataDirectory, "credentials-key", () =>
      randomBytes(32).toString("base64"),
    ));
  return [newest, ...config.credentialsPreviousKeys];
}

/** The public keys as a JSON Web Key Set (RFC 7517). */
export function jwks(keys: JwtKeys): { keys: object[] } {
  return {
    keys: [...keys.publicKeys].map(([kid, key]) => ({
      ...key.export({ format: "jwk" }),
      kid,
      alg: "ES256",
      use: "sig",
    })),
  };
}

function thumbprint(key: KeyObject): string {
  const { crv, kty, x, y } = key.export({ format: "jwk" });
  return createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
}
