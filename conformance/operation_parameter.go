package conformance

// parametersOf lists what an operation of the server's own takes and gives. What an
// operation gives that is no Parameters stands as its one parameter return.
func parametersOf(name string) []operationParameter {
	switch name {
	case "reindex":
		return []operationParameter{
			out("state", "1", "code", "never, running or completed."),
			out("percent", "1", "decimal", "How much is done."),
			out("resources", "1", "decimal", "How many resources have been gone through."),
			out("failed", "1", "decimal", "How many could not be."),
			out("started", "1", "instant", "Since when."),
			out("ended", "1", "instant", "Until when."),
		}
	case "changes":
		return []operationParameter{
			in("cursor", 0, "string", "Where the page before ended; it stands in that page's link. Without it the feed begins with what there is."),
			in("_type", 0, "string", "The types that are wanted, with commas between them."),
			in("_count", 0, "integer", "How many entries a page has at most."),
			in("_origin:not", 0, "string", "self leaves out what the caller has written."),
			in("_replay", 0, "boolean", "true gives all versions that there were, not only the current ones."),
			out("return", "1", "Bundle", "A history Bundle, whose link next goes on."),
		}
	case "import":
		return []operationParameter{
			in("inputFormat", 0, "code", "application/fhir+ndjson."),
			in("inputSource", 0, "uri", "Where it all comes from; it is not read."),
			{Name: "input", Use: "in", Min: 1, Max: "*", Documentation: "A file.", Part: []operationParameter{
				in("type", 1, "code", "The type of the resources in it."),
				in("url", 1, "url", "Where it is."),
			}},
		}
	case "validate-form":
		return []operationParameter{
			in("resource", 1, "QuestionnaireResponse", "The answers."),
			in("questionnaire", 0, "Questionnaire", "The form, if it is not the one that is stored."),
			out("return", "1", "OperationOutcome", "Everything that is to be said of them."),
		}
	case "merge":
		return []operationParameter{
			in("source-patient", 0, "Reference", "Who is merged; this or source-patient-identifier."),
			in("source-patient-identifier", 0, "Identifier", "The same by identifier."),
			in("target-patient", 0, "Reference", "Who remains; this or target-patient-identifier."),
			in("target-patient-identifier", 0, "Identifier", "The same by identifier."),
			in("result-patient", 0, "Patient", "What the target is to say."),
			in("preview", 0, "boolean", "true changes nothing."),
			out("outcome", "1", "OperationOutcome", "What came of it."),
			out("result", "1", "Patient", "The target as it is then."),
			out("source", "1", "Patient", "The source as it is then."),
			out("provenance", "1", "Reference", "The record of it."),
			moved(),
		}
	case "unmerge":
		return []operationParameter{
			in("source-patient", 0, "Reference", "Who was merged; this or source-patient-identifier."),
			in("source-patient-identifier", 0, "Identifier", "The same by identifier."),
			out("outcome", "1", "OperationOutcome", "What came of it."),
			out("result", "1", "Patient", "The target as it is then."),
			out("source", "1", "Patient", "The source as it is then."),
			out("provenance", "1", "Reference", "The record of it."),
			moved(),
			out("left", "*", "Reference", "What stays with the target, since it was written or changed since."),
		}
	default:
		return conversationParameters(name)
	}
}

// conversationParameters are those of operations on conversations, and of the few about the
// server itself that remain.
func conversationParameters(name string) []operationParameter {
	switch name {
	case "due":
		return []operationParameter{
			in("kind", 0, "code", "The kind of the conversation; consultation if it is not given."),
			in("priority", 0, "code", "routine if it is not given."),
			in("start", 0, "dateTime", "When it is asked; now if it is not given."),
		}
	case "thread":
		return []operationParameter{
			in("_count", 0, "integer", "How many messages a page has at most."),
			out("return", "1", "Bundle", "A searchset."),
		}
	case "mark-read":
		return []operationParameter{
			out("marked", "1", "integer", "How many receipts were completed."),
			out("receipt", "*", "Reference", "Each of them."),
		}
	case "identify":
		return []operationParameter{in("patient", 1, "Reference", "Who it is."), out("return", "1", "Task", "The Task as it is then.")}
	case "retract":
		return []operationParameter{in("reason", 0, "string", "Why."), out("return", "1", "Communication", "The message as it is then.")}
	case "triage":
		return []operationParameter{in("response", 1, "QuestionnaireResponse", "The answers, or a valueReference to them.")}
	case "process-response":
		return []operationParameter{
			in("response", 1, "QuestionnaireResponse", "The answers."),
			out("response", "1", "Reference", "The answers as they are stored."),
			out("task", "1", "Reference", "The conversation that they begin."),
			out("acknowledgement", "1", "Reference", "The message that says so."),
			out("text", "1", "string", "What it says."),
			out("priority", "1", "code", "How urgent it is."),
			out("due", "1", "dateTime", "By when it is answered."),
			out("advice", "1", "OperationOutcome", "What has to be shown to who has sent it."),
		}
	case "access-explain":
		return []operationParameter{
			in("token", 0, "string", "The token of whom it is asked; or else what there is of the next four."),
			in("client", 0, "string", "The client."),
			in("user", 0, "string", "The account."),
			in("patient", 0, "string", "The patient of a launch."),
			in("scope", 0, "string", "The scopes."),
			in("permission", 0, "string", "One of c, r, u, d and s; r if it is not given."),
			out("permitted", "1", "boolean", "Whether it is permitted."),
			out("summary", "1", "string", "The same in words."),
		}
	default:
		return nil
	}
}

// in is a parameter that is sent once, or with a min of 0 not at all.
func in(name string, min int, typ, documentation string) operationParameter {
	return operationParameter{Name: name, Use: "in", Min: min, Max: "1", Type: typ, Documentation: documentation}
}

// out is one that is given, up to max times or not at all.
func out(name, max, typ, documentation string) operationParameter {
	return operationParameter{Name: name, Use: "out", Max: max, Type: typ, Documentation: documentation}
}

// moved says what a merge, or its undoing, has moved.
func moved() operationParameter {
	return operationParameter{Name: "moved", Use: "out", Max: "*", Documentation: "How many resources of a type refer to the other one now.", Part: []operationParameter{
		out("type", "1", "code", "The type."),
		out("count", "1", "unsignedInt", "How many."),
	}}
}
