/** JUnit's XML, as CI systems read it: a suite per scenario, a case per expectation and one for the oracles. */
import type { TrialReport } from "./trial-report.js";

export function junitOf(outcomes: readonly (TrialReport | Unfinished)[]): string {
  const suites = outcomes.map((one) => ("unfinished" in one ? unfinishedSuite(one) : suiteOf(one)));
  const sum = (key: "tests" | "failures") => suites.reduce((all, suite) => all + suite[key], 0);
  const head = `<testsuites name="mariana sim" tests="${sum("tests")}" failures="${sum("failures")}">`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n${head}\n${suites.map(({ xml }) => xml).join("")}</testsuites>\n`;
}

/** A run that did not come to its end. */
export interface Unfinished {
  readonly scenario: string;
  readonly seed: string;
  /** Why. */
  readonly unfinished: string;
}

interface Suite {
  readonly tests: number;
  readonly failures: number;
  readonly xml: string;
}

function unfinishedSuite({ scenario, seed, unfinished }: Unfinished): Suite {
  const name = attribute(`${scenario} seed ${seed}`);
  const failure = `<failure message="${attribute(unfinished)}"/>`;
  const one = `    <testcase classname="${name}" name="comes to its end" time="0">${failure}</testcase>\n`;
  const xml = `  <testsuite name="${name}" tests="1" failures="1">\n${one}  </testsuite>\n`;
  return { tests: 1, failures: 1, xml };
}

function suiteOf(report: TrialReport): Suite {
  const { scenario, seed, expect, violation, fingerprint, wallSeconds } = report;
  const cases: { name: string; failure: string | undefined }[] = [
    { name: "oracles", failure: violation && `${violation.oracle} at ${violation.atSeconds} s: ${violation.text}` },
    ...expect.map(({ text, value, ok, reason }) => ({
      name: text,
      failure: ok ? undefined : value === null ? (reason ?? "no sample") : `it is ${value}`,
    })),
  ];
  const failures = cases.filter(({ failure }) => failure !== undefined).length;
  const name = attribute(`${scenario} seed ${seed}`);
  const lines = cases.map(({ name: title, failure }) => {
    const open = `    <testcase classname="${name}" name="${attribute(title)}" time="0"`;
    if (failure === undefined) return `${open}/>\n`;
    return `${open}>\n      <failure message="${attribute(failure)}">${escapeXml(report.repeat)}</failure>\n    </testcase>\n`;
  });
  const properties = [
    ["seed", seed],
    ["wire", fingerprint.wire],
    ["state", fingerprint.state],
  ].map(([key, value]) => `      <property name="${key}" value="${attribute(value!)}"/>\n`);
  const head = `  <testsuite name="${name}" tests="${cases.length}" failures="${failures}" time="${wallSeconds.toFixed(3)}">\n`;
  const xml = `${head}    <properties>\n${properties.join("")}    </properties>\n${lines.join("")}  </testsuite>\n`;
  return { tests: cases.length, failures, xml };
}

function attribute(text: string): string {
  return escapeXml(text).replaceAll("\n", "&#10;").replaceAll("\t", "&#9;");
}

/** What XML 1.0 cannot hold at all is shown as U+FFFD. */
function escapeXml(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
