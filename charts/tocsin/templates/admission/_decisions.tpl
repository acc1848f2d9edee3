{{/*
The policy that makes a Decision trustworthy, in full: the operator compares the cluster's with it, field by field.
Everything that the API server would fill in is written out.
*/}}
{{- define "tocsin.decisions.policy" -}}
failurePolicy: Fail
matchConstraints:
  matchPolicy: Equivalent
  resourceRules:
    - apiGroups: [tocsin.dev]
      apiVersions: ["*"]
      operations: [CREATE, UPDATE]
      resources: [decisions]
      scope: Namespaced
validations:
  - expression: request.operation == 'CREATE' || object.spec == oldObject.spec
    message: "a Decision is immutable: create another one"
    reason: Invalid
  - expression: request.operation != 'CREATE' || !request.userInfo.username.startsWith('system:serviceaccount:')
    messageExpression: >-
      'a Decision is an act of a person: ' + request.userInfo.username + ' is a service account'
    reason: Forbidden
  - expression: request.operation != 'CREATE' || object.spec.by == request.userInfo.username
    messageExpression: >-
      'spec.by must be who asks: it is ' + object.spec.by + ', and you are ' + request.userInfo.username
    reason: Forbidden
  - expression: >-
      request.operation != 'CREATE' || authorizer.group('tocsin.dev').resource('decisions').subresource(object.spec.type.lowerAscii()).namespace(request.namespace).check('create').allowed()
    messageExpression: >-
      request.userInfo.username + ' lacks the right to ' + object.spec.type.lowerAscii() + ' in namespace ' + request.namespace + ': RBAC verb create on decisions/' + object.spec.type.lowerAscii()
    reason: Forbidden
{{- end -}}

{{- define "tocsin.decisions.binding" -}}
policyName: tocsin-decisions
validationActions: [Deny]
{{- end -}}

{{- define "tocsin.decisions.expected" -}}
{{- $policy := dict "name" "tocsin-decisions" "spec" (include "tocsin.decisions.policy" . | fromYaml) -}}
{{- $binding := dict "name" "tocsin-decisions" "spec" (include "tocsin.decisions.binding" . | fromYaml) -}}
{{ dict "policy" $policy "binding" $binding | toPrettyJson }}
{{- end -}}

{{/* The head of an admission object of that kind and name; "spec" is up to the caller. */}}
{{- define "tocsin.admission" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ .name }}
  labels: {{- include "tocsin.labels" .root | nindent 4 }}
{{- end -}}

{{/* A binding that denies wherever the policy of that name matches. */}}
{{- define "tocsin.deny" -}}
{{ include "tocsin.admission" (dict "kind" "ValidatingAdmissionPolicyBinding" "name" .name "root" .root) }}
spec:
  policyName: {{ .name }}
  validationActions: [Deny]
{{- end -}}

{{/* Who has edited a message, when the requester has edited it as well: each once, the requester last. */}}
{{- define "tocsin.editors" -}}
(has(oldObject.spec.editedBy) ? oldObject.spec.editedBy : []).filter(one, one != request.userInfo.username) + [request.userInfo.username]
{{- end -}}
