// Reads lines of JSON {name, introspection, sdl} on stdin and checks that what
// introspection says is a valid schema for graphql-js, and the one that the SDL is.
import { createInterface } from 'node:readline';
import { buildClientSchema, buildSchema, lexicographicSortSchema, printSchema, validateSchema } from 'graphql';

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const { name, introspection, sdl } = JSON.parse(line);
  const client = buildClientSchema(introspection);
  const errors = validateSchema(client).map((e) => e.message);
  if (printSchema(lexicographicSortSchema(client)) !== printSchema(lexicographicSortSchema(buildSchema(sdl)))) {
    errors.push('introspection and /schema.graphql differ');
  }
  process.stdout.write(JSON.stringify({ name, types: Object.keys(client.getTypeMap()).length, errors }) + '\n');
}
