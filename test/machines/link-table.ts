/**
 * Owns: the table of machines/link.ts: its state after each event, and what runs, for each kind of link.
 * Independent of: how it is checked (link.test.ts).
 */
export const table = `
# dialer, reconnect: begins down.requesting requestDial
down.requesting
  dial.granted                       -> connecting                     cancelDial dial
  dial.unresolved                    -> stays                          cancelDial recordUnresolved requestDial
  link.claimed                       -> accepting                      cancelDial accept
  connection.closed before it was up -> stays                          cancelDial recordLost requestDial
  connection.closed after it was up  -> stays                          cancelDial recordLost requestDial
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        cancelDial closeConnection
  reconnector.restarted              -> stays                          requestDial
  link.wanted                        -> stays                          requestOnce
  link.retry                         -> stays                          retryNow
  link.resume                        -> stays                          cancelDial requestDial
  link.pause                         -> stays                          cancelDial requestDial
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> stays                          cancelDial requestDial
connecting
  link.claimed                       -> accepting                      replace accept
  connection.authenticated           -> ready                          endDial notifyReady
  connection.closed before it was up -> down.requesting                recordLost requestDial
  connection.closed after it was up  -> down.requesting                recordLost requestDial
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> stays                          failConnection
accepting
  link.claimed                       -> stays                          replace accept
  connection.authenticated           -> ready                          endDial notifyReady
  connection.closed before it was up -> down.requesting                recordLost requestDial
  connection.closed after it was up  -> down.requesting                recordLost requestDial
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> stays                          failConnection
closing
  connection.closed before it was up -> closed                         recordLost
  connection.closed after it was up  -> closed                         recordLost
  pump.failed                        -> stays                          failConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> closed
ready
  link.claimed                       -> accepting                      replace accept
  connection.closed before it was up -> down.requesting                recordLost requestDial
  connection.closed after it was up  -> down.requesting                recordLost requestDial
  pump.failed                        -> stays                          failConnection
  link.adopt                         -> up.fresh                       adopt endDial
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
closed, final
up.fresh
  link.claimed                       -> accepting                      replace accept
  connection.errored                 -> stays                          recordErrored
  connection.closed before it was up -> down.requesting                recordLost requestDial
  connection.closed after it was up  -> down.requesting                recordLost requestDial
  pump.started                       -> up.stable                      resetBackoff
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> up.stable                      resetBackoff
up.stable
  link.claimed                       -> accepting                      replace accept
  connection.errored                 -> stays                          recordErrored
  connection.closed before it was up -> down.requesting                recordLost requestDial
  connection.closed after it was up  -> down.requesting                recordLost requestDial
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
# acceptor, reconnect: begins down.expecting openClaim
down.expecting
  link.claimed                       -> accepting                      closeClaim accept
  connection.closed before it was up -> stays                          closeClaim recordLost openClaim
  connection.closed after it was up  -> stays                          closeClaim recordLost openClaim
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeClaim closeConnection
  link.resume                        -> stays                          closeClaim openClaim
  link.pause                         -> stays                          closeClaim openClaim
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
accepting
  link.claimed                       -> stays                          replace accept
  connection.authenticated           -> ready                          endDial notifyReady
  connection.closed before it was up -> down.expecting                 recordLost openClaim
  connection.closed after it was up  -> down.expecting                 recordLost openClaim
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> stays                          failConnection
ready
  link.claimed                       -> accepting                      replace accept
  connection.closed before it was up -> down.expecting                 recordLost openClaim
  connection.closed after it was up  -> down.expecting                 recordLost openClaim
  pump.failed                        -> stays                          failConnection
  link.adopt                         -> up.fresh                       adopt endDial
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
up.fresh
  link.claimed                       -> accepting                      replace accept
  connection.errored                 -> stays                          recordErrored
  connection.closed before it was up -> down.expecting                 recordLost openClaim
  connection.closed after it was up  -> down.expecting                 recordLost openClaim
  pump.started                       -> up.stable                      resetBackoff
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> up.stable                      resetBackoff
up.stable
  link.claimed                       -> accepting                      replace accept
  connection.errored                 -> stays                          recordErrored
  connection.closed before it was up -> down.expecting                 recordLost openClaim
  connection.closed after it was up  -> down.expecting                 recordLost openClaim
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
# dialer, fail: begins down.requesting requestDial
down.requesting
  dial.granted                       -> connecting                     cancelDial dial
  dial.unresolved                    -> stays                          cancelDial recordUnresolved requestDial
  link.claimed                       -> accepting                      cancelDial accept
  connection.closed before it was up -> stays                          cancelDial recordLost requestDial
  connection.closed after it was up  -> failed                         cancelDial recordLost notifyFailed
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        cancelDial closeConnection
  reconnector.restarted              -> stays                          requestDial
  link.wanted                        -> stays                          requestOnce
  link.retry                         -> stays                          retryNow
  link.resume                        -> stays                          cancelDial requestDial
  link.pause                         -> stays                          cancelDial requestDial
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> stays                          cancelDial requestDial
connecting
  link.claimed                       -> accepting                      replace accept
  connection.authenticated           -> ready                          endDial notifyReady
  connection.closed before it was up -> down.requesting                recordLost requestDial
  connection.closed after it was up  -> failed                         recordLost notifyFailed
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> stays                          failConnection
accepting
  link.claimed                       -> stays                          replace accept
  connection.authenticated           -> ready                          endDial notifyReady
  connection.closed before it was up -> down.requesting                recordLost requestDial
  connection.closed after it was up  -> failed                         recordLost notifyFailed
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> stays                          failConnection
failed, final
ready
  link.claimed                       -> accepting                      replace accept
  connection.closed before it was up -> down.requesting                recordLost requestDial
  connection.closed after it was up  -> failed                         recordLost notifyFailed
  pump.failed                        -> stays                          failConnection
  link.adopt                         -> up.fresh                       adopt endDial
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
up.fresh
  link.claimed                       -> accepting                      replace accept
  connection.errored                 -> stays                          recordErrored
  connection.closed before it was up -> down.requesting                recordLost requestDial
  connection.closed after it was up  -> failed                         recordLost notifyFailed
  pump.started                       -> up.stable                      resetBackoff
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> up.stable                      resetBackoff
up.stable
  link.claimed                       -> accepting                      replace accept
  connection.errored                 -> stays                          recordErrored
  connection.closed before it was up -> down.requesting                recordLost requestDial
  connection.closed after it was up  -> failed                         recordLost notifyFailed
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
# acceptor, fail: begins down.expecting openClaim
down.expecting
  link.claimed                       -> accepting                      closeClaim accept
  connection.closed before it was up -> stays                          closeClaim recordLost openClaim
  connection.closed after it was up  -> failed                         closeClaim recordLost notifyFailed
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeClaim closeConnection
  link.resume                        -> stays                          closeClaim openClaim
  link.pause                         -> stays                          closeClaim openClaim
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
accepting
  link.claimed                       -> stays                          replace accept
  connection.authenticated           -> ready                          endDial notifyReady
  connection.closed before it was up -> down.expecting                 recordLost openClaim
  connection.closed after it was up  -> failed                         recordLost notifyFailed
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> stays                          failConnection
ready
  link.claimed                       -> accepting                      replace accept
  connection.closed before it was up -> down.expecting                 recordLost openClaim
  connection.closed after it was up  -> failed                         recordLost notifyFailed
  pump.failed                        -> stays                          failConnection
  link.adopt                         -> up.fresh                       adopt endDial
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
up.fresh
  link.claimed                       -> accepting                      replace accept
  connection.errored                 -> stays                          recordErrored
  connection.closed before it was up -> down.expecting                 recordLost openClaim
  connection.closed after it was up  -> failed                         recordLost notifyFailed
  pump.started                       -> up.stable                      resetBackoff
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> up.stable                      resetBackoff
up.stable
  link.claimed                       -> accepting                      replace accept
  connection.errored                 -> stays                          recordErrored
  connection.closed before it was up -> down.expecting                 recordLost openClaim
  connection.closed after it was up  -> failed                         recordLost notifyFailed
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
# dialer, resume: begins down.requesting requestDial
connecting
  link.claimed                       -> accepting                      replace accept
  connection.authenticated           -> up.fresh                       adopt endDial
  connection.closed before it was up -> down.requesting                recordLost requestDial
  connection.closed after it was up  -> down.requesting                recordLost requestDial
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> stays                          failConnection
accepting
  link.claimed                       -> stays                          replace accept
  connection.authenticated           -> up.fresh                       adopt endDial
  connection.closed before it was up -> down.requesting                recordLost requestDial
  connection.closed after it was up  -> down.requesting                recordLost requestDial
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> stays                          failConnection
# acceptor, resume: begins down.expecting openClaim
accepting
  link.claimed                       -> stays                          replace accept
  connection.authenticated           -> up.fresh                       adopt endDial
  connection.closed before it was up -> down.expecting                 recordLost openClaim
  connection.closed after it was up  -> down.expecting                 recordLost openClaim
  pump.failed                        -> stays                          failConnection
  link.close                         -> closing                        closeConnection
  link.pause                         -> stays                          pauseConnection
  link.unwanted                      -> stays                          dropConnection
  child.failed                       -> stays                          recordRestart
  child.restarted                    -> stays                          recordRestart
  child.escalated                    -> stays                          escalate
  deadline.passed                    -> stays                          failConnection
`
