// Google's CSP Evaluator on a policy header: what is worse than INFO, in words.
import { CspEvaluator } from "csp_evaluator/dist/evaluator.js";
import { Severity } from "csp_evaluator/dist/finding.js";
import { CspParser } from "csp_evaluator/dist/parser.js";

/** A missing policy is the worst there is. */
export function listWeaknesses(policy) {
  if (!policy) return ["no policy"];
  return new CspEvaluator(new CspParser(policy).csp)
    .evaluate()
    .filter(({ severity }) => severity < Severity.INFO)
    .map(({ severity, directive, value, description }) => `${Severity[severity]} ${directive} ${value ?? ""}: ${description}`);
}
