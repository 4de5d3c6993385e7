import { generate } from "selfsigned";

/** The hosts that SDKs send to: it is Google's part that the emulator plays. */
export const GOOGLE_HOSTS = [
  "fcm.googleapis.com",
  "iid.googleapis.com",
  "oauth2.googleapis.com",
  "www.googleapis.com",
  "accounts.google.com",
];

/** A certificate made for this run; its key never leaves the process. */
export async function makeCertificate(): Promise<{ key: string; cert: string }> {
  const names = ["localhost", ...GOOGLE_HOSTS].map((value) => ({ type: 2 as const, value }));
  const certificate = await generate([{ name: "commonName", value: "FCM emulator" }], {
    keyType: "ec",
    curve: "P-256",
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", digitalSignature: true, keyCertSign: true, critical: true },
      { name: "extKeyUsage", serverAuth: true },
      { name: "subjectAltName", altNames: [...names, { type: 7, ip: "127.0.0.1" }] },
    ],
  });
  return { key: certificate.private, cert: certificate.cert };
}
