FROM scratch
VOLUME /$v
STOPSIGNAL ${s:-SIGTERM}
EXPOSE ${p:-80}
RUN --mount=type=cache,target=/$t,id=$i x $inshell
CMD ["$c"]
ONBUILD COPY $o /x
