import { expect, test } from "vitest";

import { replayCommand } from "../src/scripts/command";
import { descriptionOf, flatten, formOf } from "../src/system/description";

const SHOWN = {
  Url: "https://x/",
  Username: "u",
  Password: null,
  Timeout: 7,
  HttpHeaders: ["Token"],
  Pkcs11: false,
  HasDelete: "1",
};

test("what is not touched stays: secrets are null", () => {
  expect(descriptionOf(formOf(SHOWN), SHOWN)).toEqual({
    Url: "https://x/",
    Username: "u",
    Password: null,
    Timeout: 7,
    HttpHeaders: { Token: null },
    HasDelete: "1",
  });
});

test("a secret that is given replaces the other", () => {
  const form = { ...formOf(SHOWN), Password: "new", headers: [{ name: "Token", value: "t", isKept: true }] };
  expect(descriptionOf(form, SHOWN)).toMatchObject({ Password: "new", HttpHeaders: { Token: "t" } });
});

test("who takes the user away takes the password away", () => {
  const made = descriptionOf({ ...formOf(SHOWN), Username: "" }, SHOWN);
  expect(made).not.toHaveProperty("Username");
  expect(made).not.toHaveProperty("Password");
});

test("a new one keeps nothing", () => {
  const form = formOf();
  form.Url = " http://y ";
  form.Username = "u";
  form.headers.push({ name: "", value: "", isKept: false }, { name: "Empty", value: "", isKept: false });
  expect(descriptionOf(form)).toEqual({ Url: "http://y", Username: "u", Timeout: 0, HttpHeaders: { Empty: "" } });
});

test("a certificate has its key and its password", () => {
  const shown = { ...SHOWN, CertificateFile: "/us.pem", CertificateKeyFile: null, CertificateKeyPassword: null };
  const kept = { CertificateFile: "/us.pem", CertificateKeyFile: null, CertificateKeyPassword: null };
  expect(descriptionOf(formOf(shown), shown)).toMatchObject(kept);
  expect(descriptionOf({ ...formOf(shown), CertificateFile: "" }, shown)).not.toHaveProperty("CertificateKeyFile");
});

test("the command of a replay is safe to paste", () => {
  expect(replayCommand([], 1, 9)).toBe("sinogram lua replay sinogram.json --script new.lua --since 1 --until 9");
  expect(replayCommand(["/a b/it's.lua", "/c.lua"], 5, 2)).toBe(
    "sinogram lua replay sinogram.json --script '/a b/it'\\''s.lua' --script /c.lua --since 5 --until 5",
  );
});

test("values within values have their names joined, and what is empty is seen", () => {
  expect(flatten({ B: { D: true, C: null }, A: ["x", "y"], E: {}, F: 0, G: [] })).toEqual([
    ["A", "x, y"],
    ["B › C", "–"],
    ["B › D", "true"],
    ["E", "–"],
    ["F", "0"],
    ["G", "–"],
  ]);
});
