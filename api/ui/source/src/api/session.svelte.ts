/** Who uses the page. The page never keeps a password: a login makes a cookie that no script can read. */

import { tick } from "svelte";

import { BASE } from "../router.svelte";
import { ask, askJson, endRequests, whenUnauthorized } from "./client";

export interface Session {
  User: string;
  /** Whether users must log in at all. */
  AuthenticationEnabled: boolean;
  /** Where DICOMweb is, such as `/dicom-web/`; null where it is turned off. */
  DicomWebRoot: string | null;
}

type Found = Omit<Session, "User"> & { User: string | null };

/** The server says who it is in the page itself, which saves a question before anything can be shown. */
function readPage(): Found | null {
  const told = document.querySelector<HTMLMetaElement>("meta[name=session]")?.content;
  return told ? (JSON.parse(told) as Found) : null;
}

class CurrentSession {
  /** null: not known yet, or logged out. */
  now: Session | null = $state(null);
  /** Whether it is known who uses the page: not at first, and not while it is logged out. */
  isAsked = $state(false);
  /** Who has used the page since it was loaded. */
  private user: string | null = null;

  constructor() {
    const told = readPage();
    // A browser that comes from another host's link sends no cookie with that: then the page itself has to ask.
    if (told !== null && told.User !== null) this.take(told);
  }

  get isIn(): boolean {
    return this.now !== null;
  }

  async find(): Promise<void> {
    if (!this.isAsked) this.take(await askJson<Found>("/ui/session"));
  }

  private take(found: Found): void {
    this.user = found.User;
    this.now = found.User === null ? null : { ...found, User: found.User };
    this.isAsked = true;
  }

  async login(user: string, password: string): Promise<void> {
    const found = await askJson<Session>("/ui/session", { method: "POST", body: { User: user, Password: password } });
    // Who goes on after a session has ended finds all as it was.
    if (this.user !== null && this.user !== found.User) loadAnew();
    else this.take(found);
  }

  async logout(): Promise<void> {
    this.isAsked = false;
    await tick(); // no view is there, so nothing is asked for any more
    endRequests();
    try {
      await ask("/ui/session", { method: "DELETE" });
    } catch (error) {
      this.isAsked = true; // who is not logged out must not believe it
      throw error;
    }
    loadAnew();
  }
}

/** What one user has seen, filled in and begun is not the next one's: nothing of it outlives the page, whatever module keeps it. */
function loadAnew(): void {
  location.replace(`${BASE}/`);
}

export const session = new CurrentSession();
whenUnauthorized(() => {
  session.now = null;
});
