// A receiver of webhooks that verifies deliveries with the package `standardwebhooks`.
//
// Prints its port, reads the secret from the standard input, and prints one line for each delivery.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

const lines = createInterface({ input: process.stdin });
const secret = new Promise((resolve) => lines.once("line", resolve));

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  let line;
  try {
    const event = new Webhook(await secret).verify(Buffer.concat(chunks).toString(), request.headers);
    line = { id: request.headers["webhook-id"], spec: event.subject, position: event.data.position };
    response.statusCode = 204;
  } catch (error) {
    line = { invalid: String(error) };
    response.statusCode = 401;
  }
  console.log(JSON.stringify(line));
  response.end();
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
