// Makes introspection.json from introspection.graphqls with graphql-js:
//
//	npm install graphql@16.15.0 && node introspection.mjs
//
// Types, directives and possible types are sorted by name, as Introspect does;
// everything else is as graphql-js says it.
import { readFileSync, writeFileSync } from 'node:fs';
import { buildSchema, getIntrospectionQuery, graphqlSync } from 'graphql';

const here = (name) => new URL(name, import.meta.url);
const byName = (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

const schema = buildSchema(readFileSync(here('introspection.graphqls'), 'utf8'));
const query = getIntrospectionQuery({
  specifiedByUrl: true,
  directiveIsRepeatable: true,
  schemaDescription: true,
  inputValueDeprecation: true,
  oneOf: true,
});
const result = graphqlSync({ schema, source: query });
if (result.errors) throw result.errors[0];
result.data.__schema.types.sort(byName);
result.data.__schema.directives.sort(byName);
for (const type of result.data.__schema.types) type.possibleTypes?.sort(byName);
writeFileSync(here('introspection.query.graphql'), query);
writeFileSync(here('introspection.json'), JSON.stringify(result.data.__schema));
