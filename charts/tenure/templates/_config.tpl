{{/* tenure's config: the values, and what the chart knows better than a default could. */}}
{{- define "tenure.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if and $config.election $config.elections -}}
{{- fail "config.election, config.elections: one name, or a list of names, not both" -}}
{{- else if not (or $config.election $config.elections) -}}
{{- $_ := set $config "election" (include "tenure.fullname" .) -}}
{{- end -}}
{{- if not $config.store -}}
{{- $_ := set $config "store" (dict "kubernetes" (dict)) -}}
{{- end -}}
{{- if hasKey $config.store "kubernetes" -}}
{{- $_ := set $config.store.kubernetes "namespace" "${POD_NAMESPACE}" -}}
{{- end -}}
{{- if hasKey $config.store "kubernetes" -}}
{{- range default (list $config.election) $config.elections -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$" .) -}}
{{- fail (printf "config.election: %q can't be a Lease's name: use a-z 0-9 - . alone, or another store" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $probes := dig "http" "probes" "" $config -}}
{{- if regexMatch "^(127[.]|localhost:|\\[::1\\]:)" $probes -}}
{{- fail (printf "config.http.probes: neither the kubelet nor Prometheus reaches %s from outside of the pod; use 0.0.0.0:PORT or [::]:PORT" $probes) -}}
{{- end -}}
{{- $kubernetes := default (dict) $config.kubernetes -}}
{{- if and .Values.service.enabled (not $kubernetes.pod_label) -}}
{{- $key := ternary "tenure.dev/{election}" "tenure.dev/role" (hasKey $config "elections") -}}
{{- $_ := set $kubernetes "pod_label" (dict "key" $key "leader" "leader" "follower" "follower") -}}
{{- end -}}
{{- if or $kubernetes.pod_label $kubernetes.events -}}
{{- $_ := set $config "kubernetes" $kubernetes -}}
{{- else -}}
{{- $_ := unset $config "kubernetes" -}}
{{- end -}}
{{ toYaml $config }}
{{- end }}

{{/* The elections' names, as a JSON list. */}}
{{- define "tenure.elections" -}}
{{- $config := include "tenure.config" . | fromYaml -}}
{{ default (list $config.election) $config.elections | toJson }}
{{- end }}

{{/* Whether the sidecar asks the API server for anything. */}}
{{- define "tenure.usesApiServer" -}}
{{- $config := include "tenure.config" . | fromYaml -}}
{{- if or (hasKey $config.store "kubernetes") (dig "kubernetes" "pod_label" false $config) (dig "kubernetes" "events" false $config) }}true{{ end -}}
{{- end }}

{{- define "tenure.probesPort" -}}
{{ dig "http" "probes" "0.0.0.0:4041" .Values.config | regexFind "[0-9]+$" }}
{{- end }}

{{- define "tenure.probesScheme" -}}
{{ ternary "HTTPS" "HTTP" (hasKey (dig "http" (dict) .Values.config) "probes_tls") }}
{{- end }}
