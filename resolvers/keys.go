package resolvers

// TagUse is the key ring's use for the tags of persons and of stated keys: a
// ledger can be asked for a person only by who tags under the same use.
const TagUse = "subject-tag"

// PseudonymUse is the key ring's use for pseudonyms of one purpose. Purposes
// come from the configuration's registry, so the uses are few.
func PseudonymUse(purpose string) string { return "pseudonym/" + purpose }

// SubjectUse is the key ring's use for the reader's own stand-in in records.
const SubjectUse = "lineage-subject"
