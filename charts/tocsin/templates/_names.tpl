{{/* The name of everything that is not fixed: the release's, with the chart's in it. */}}
{{- define "tocsin.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "tocsin.selector" -}}
app.kubernetes.io/name: tocsin
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tocsin.labels" -}}
{{ include "tocsin.selector" . }}
app.kubernetes.io/part-of: tocsin
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "tocsin.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ $tag }}
{{- end -}}
{{- end -}}

{{/* The operator's user name, as the API server authenticates it. */}}
{{- define "tocsin.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "tocsin.name" . }}
{{- end -}}

{{- define "tocsin.priorityClass" -}}
{{- if .Values.priorityClass.create -}}
{{ .Values.priorityClass.name | default (include "tocsin.name" .) }}
{{- else -}}
{{ .Values.priorityClass.name }}
{{- end -}}
{{- end -}}

{{/* The ports that the operator connects to, each once, as a JSON list. */}}
{{- define "tocsin.egressPorts" -}}
{{- $ports := list -}}
{{- range .Values.networkPolicy.egressPorts -}}
{{- $ports = append $ports (int .) -}}
{{- end -}}
{{- range .Values.settings.prometheus -}}
{{- $port := regexFind ":[0-9]+$" (urlParse .url).host | trimPrefix ":" -}}
{{- $ports = append $ports (int ($port | default (ternary 443 80 (hasPrefix "https:" .url)))) -}}
{{- end -}}
{{- range dig "channels" "allowedHosts" list .Values.settings -}}
{{- with regexFind ":[0-9]+$" . -}}
{{- $ports = append $ports (int (trimPrefix ":" .)) -}}
{{- else -}}
{{- $ports = concat $ports (list 80 443) -}}
{{- end -}}
{{- end -}}
{{ $ports | uniq | toJson }}
{{- end -}}
