import { access, context, object, type Step, sideEffect } from "postgraphile/grafast";

interface Args {
  getRaw(path: string): Step;
}

/**
 * The plan of a mutation that Node carries out, because it hashes or signs: `act` gets the input and
 * the request's context, once the session is known to live; what it resolves to is
 * `$payload.get(name)`.
 */
export function nodeMutation<TInput>(
  name: string,
  act: (input: TInput, context: Grafast.Context) => Promise<unknown>,
) {
  return (_$root: Step, args: Args) => {
    const $input = args.getRaw("input");
    const $result = sideEffect([$input, context()], async ([input, current]) => {
      const requestContext = current as Grafast.Context;
      // Each time: an earlier field of the operation may have ended the session.
      await requestContext.verifySession();
      return act(input as TInput, requestContext);
    });
    return object({ clientMutationId: access($input, "clientMutationId"), [name]: $result });
  };
}
