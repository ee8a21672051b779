/** Who uses the page. The page never keeps a password: a login makes a cookie that no script can read. */

import { ask, askJson, whenUnauthorized } from "./client";

export interface Session {
  User: string;
  /** Whether users must log in at all. */
  AuthenticationEnabled: boolean;
  /** Where DICOMweb is, such as `/dicom-web/`; null where it is turned off. */
  DicomWebRoot: string | null;
}

class CurrentSession {
  /** null: not known yet, or logged out. */
  now: Session | null = $state(null);
  isAsked = $state(false);

  get isIn(): boolean {
    return this.now !== null;
  }

  async find(): Promise<void> {
    const found = await askJson<Omit<Session, "User"> & { User: string | null }>("/ui/session");
    this.now = found.User === null ? null : { ...found, User: found.User };
    this.isAsked = true;
  }

  async login(user: string, password: string): Promise<void> {
    this.now = await askJson<Session>("/ui/session", { method: "POST", body: { User: user, Password: password } });
  }

  async logout(): Promise<void> {
    await ask("/ui/session", { method: "DELETE" });
    this.now = null;
  }
}

export const session = new CurrentSession();
whenUnauthorized(() => {
  session.now = null;
});
