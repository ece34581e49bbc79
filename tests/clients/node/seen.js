// What reached the upstream, read out of whichever provider's words it was said in.

const isChat = (asked) => asked.path === "/v1/chat/completions";
const isMessages = (asked) => asked.path === "/v1/messages";
const listed = (content) => (typeof content === "string" ? [{ type: "text", text: content }] : (content ?? []));
const textOf = (content) =>
  listed(content)
    .map((part) => part.text ?? "")
    .join("");

/** [role, text] of all that has text: instructions as "system", the results of tools as "tool". */
export function turns(asked) {
  const said = isChat(asked) ? chatTurns(asked.body) : isMessages(asked) ? messagesTurns(asked.body) : responsesTurns(asked.body);
  return said.map(([role, text]) => [role === "developer" ? "system" : role, text]).filter(([, text]) => text !== "");
}

const chatTurns = (body) => body.messages.map((message) => [message.role, textOf(message.content)]);

function messagesTurns(body) {
  const said = [["system", textOf(body.system)]];
  for (const message of body.messages) {
    for (const block of listed(message.content)) {
      said.push(block.type === "tool_result" ? ["tool", textOf(block.content)] : [message.role, block.text ?? ""]);
    }
  }
  return said;
}

function responsesTurns(body) {
  const items = typeof body.input === "string" ? [{ role: "user", content: body.input }] : body.input;
  const said = [["system", body.instructions ?? ""]];
  for (const item of items) {
    if (item.role !== undefined) said.push([item.role, textOf(item.content)]);
    else if (item.type === "function_call_output") said.push(["tool", textOf(item.output)]);
  }
  return said;
}

/** The first tool that was offered: {name, description, schema}. */
export function tool(asked) {
  const given = asked.body.tools[0];
  const { name, description, ...rest } = given.function ?? given;
  return { name, description, schema: rest.parameters ?? rest.input_schema };
}

/** [name, arguments] of the calls that the conversation already has. */
export function calls(asked) {
  const { body } = asked;
  if (isChat(asked)) {
    const made = body.messages.flatMap((message) => message.tool_calls ?? []);
    return made.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
  }
  if (isMessages(asked)) {
    const blocks = body.messages.flatMap((message) => listed(message.content));
    return blocks.filter((block) => block.type === "tool_use").map((block) => [block.name, block.input]);
  }
  return body.input.filter((item) => item.type === "function_call").map((item) => [item.name, JSON.parse(item.arguments)]);
}

/** The JSON schema that the answer is to keep to. */
export function schema(asked) {
  if (isChat(asked)) return asked.body.response_format.json_schema.schema;
  if (isMessages(asked)) return (asked.body.output_config?.format ?? asked.body.output_format).schema;
  return asked.body.text.format.schema;
}

/** Where each image is: its address, or a data URI. */
export function images(asked) {
  const parts = (asked.body.messages ?? asked.body.input).flatMap((message) => listed(message.content));
  return parts.map(imageIn).filter((where) => where !== undefined);
}

function imageIn(part) {
  if (part.type === "image_url") return part.image_url.url;
  if (part.type === "input_image") return part.image_url;
  if (part.type !== "image") return undefined;
  return part.source.type === "url" ? part.source.url : `data:${part.source.media_type};base64,${part.source.data}`;
}

/** The bound on the answer's tokens, under whichever name it was sent. */
export const tokensMax = ({ body }) => body.max_tokens ?? body.max_completion_tokens ?? body.max_output_tokens;
